//! The activations of one value with their slopes, for loops that SIMD compiles.

use crate::real::Real;

/// An activation of one value.
pub(crate) trait Function: Copy + Send + Sync {
    fn value<E: Real>(self, x: E) -> E;
    /// The derivative at `x`.
    fn slope<E: Real>(self, x: E) -> E;
}

macro_rules! function {
    ($name:ident, |$x:ident| $value:expr, $slope:expr) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $name;

        impl Function for $name {
            #[inline(always)]
            fn value<E: Real>(self, $x: E) -> E {
                $value
            }

            #[inline(always)]
            fn slope<E: Real>(self, $x: E) -> E {
                $slope
            }
        }
    };
}

function!(Identity, |x| x, {
    let _ = x;
    E::ONE
});
function!(Relu, |x| x.at_least(E::ZERO), if x > E::ZERO { E::ONE } else { E::ZERO });
function!(Sigmoid, |x| x.sigmoid(), {
    // The same on both sides of zero, so that no digits cancel in 1 - sigmoid(x).
    let e = (-x.magnitude()).exponential();
    e / ((E::ONE + e) * (E::ONE + e))
});
function!(Tanh, |x| x.hyperbolic_tangent(), {
    let y = x.hyperbolic_tangent();
    E::ONE - y * y
});
function!(Silu, |x| x * x.sigmoid(), {
    let s = x.sigmoid();
    s * (E::ONE + x * (E::ONE - s))
});
function!(Softplus, |x| x.softplus(), x.sigmoid());
function!(Gelu, |x| x * normal_distribution(x), {
    let density = E::of(0.398_942_280_401_432_7) * (-x * x * E::of(0.5)).exponential();
    normal_distribution(x) + x * density
});
function!(Exp, |x| x.exponential_full(), x.exponential_full());
function!(Log, |x| x.logarithm(), E::ONE / x);

#[derive(Clone, Copy)]
pub(crate) struct LeakyRelu(pub(crate) f64);

impl Function for LeakyRelu {
    #[inline(always)]
    fn value<E: Real>(self, x: E) -> E {
        if x < E::ZERO { x * E::of(self.0) } else { x }
    }

    #[inline(always)]
    fn slope<E: Real>(self, x: E) -> E {
        if x < E::ZERO { E::of(self.0) } else { E::ONE }
    }
}

/// `Phi(x) = (1 + erf(x / sqrt 2)) / 2`.
#[inline(always)]
fn normal_distribution<E: Real>(x: E) -> E {
    E::of(0.5) * (E::ONE + (x * E::of(std::f64::consts::FRAC_1_SQRT_2)).error_function())
}

/// The expression with `$f` standing for the function of an `Option<Activation>`, compiled once for each.
macro_rules! with_function {
    ($kind:expr, $f:ident => $body:expr) => {{
        use $crate::activation::Activation;
        use $crate::function;
        macro_rules! with {
            ($function:expr) => {{
                let $f = $function;
                $body
            }};
        }
        match $kind {
            None => with!(function::Identity),
            Some(Activation::Relu) => with!(function::Relu),
            Some(Activation::LeakyRelu { slope }) => with!(function::LeakyRelu(slope)),
            Some(Activation::Sigmoid) => with!(function::Sigmoid),
            Some(Activation::Tanh) => with!(function::Tanh),
            Some(Activation::Silu) => with!(function::Silu),
            Some(Activation::Softplus) => with!(function::Softplus),
            Some(Activation::Gelu) => with!(function::Gelu),
            Some(Activation::Exp) => with!(function::Exp),
            Some(Activation::Log) => with!(function::Log),
        }
    }};
}
pub(crate) use with_function;
