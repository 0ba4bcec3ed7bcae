//! Back-propagation through time of the plain recurrent network, by hand: a reference to read, not the engine.
//!
//! For `t = 1 .. T`, with `h_0 = 0`:
//!
//! ```text
//! h_t = tanh(U x_t + W h_{t-1} + b)     o_t = V h_t + c     L = -sum_t ln softmax(o_t)[y_t]
//! ```
//!
//! Let `e_t = softmax(o_t) - onehot(y_t)`, the gradient of `L` in `o_t`, and `d_t` its gradient in `h_t`. From the last step back
//! (Rumelhart, Hinton and Williams 1986; Werbos 1990; Goodfellow et al. 2016, section 10.2.2):
//!
//! ```text
//! d_T = V' e_T        d_t = V' e_t + W' diag(1 - h_{t+1}^2) d_{t+1}
//! ```
//!
//! The diagonal stands between `W'` and `d_{t+1}`: what comes from the step after goes through its tanh first, and then through the
//! weight. Some texts print `W' d_{t+1} diag(1 - h_{t+1}^2)`, whose shapes do not fit, and which is wrong by much when read as `diag(..)
//! W' d_{t+1}`. With `s_t = diag(1 - h_t^2) d_t`:
//!
//! ```text
//! dL/dc = sum e_t     dL/dV = sum e_t h_t'     dL/db = sum s_t     dL/dW = sum s_t h_{t-1}'     dL/dU = sum s_t x_t'
//! ```

/// The network's parameters, or their gradients; matrices row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct ElmanNetwork {
    /// U: `[hidden, inputs]`.
    pub u: Vec<f64>,
    /// W: `[hidden, hidden]`.
    pub w: Vec<f64>,
    /// b: `[hidden]`.
    pub b: Vec<f64>,
    /// V: `[outputs, hidden]`.
    pub v: Vec<f64>,
    /// c: `[outputs]`.
    pub c: Vec<f64>,
}

/// What the way forth leaves for the way back: for each step the hidden state and the probabilities.
struct Forward {
    hidden: Vec<Vec<f64>>,
    probabilities: Vec<Vec<f64>>,
}

impl ElmanNetwork {
    /// All zero.
    pub fn zeros(inputs: usize, hidden: usize, outputs: usize) -> Self {
        let zeros = |count: usize| vec![0.0; count];
        Self {
            u: zeros(hidden * inputs),
            w: zeros(hidden * hidden),
            b: zeros(hidden),
            v: zeros(outputs * hidden),
            c: zeros(outputs),
        }
    }

    fn forward(&self, xs: &[Vec<f64>]) -> Forward {
        let (mut hidden, mut probabilities) = (Vec::new(), Vec::new());
        let mut h = vec![0.0; self.b.len()];
        for x in xs {
            let a = add(&add(&times(&self.u, x), &times(&self.w, &h)), &self.b);
            h = a.into_iter().map(f64::tanh).collect();
            probabilities.push(softmax(&add(&times(&self.v, &h), &self.c)));
            hidden.push(h.clone());
        }
        Forward { hidden, probabilities }
    }

    /// L in nats, of inputs and each step's class.
    pub fn loss(&self, xs: &[Vec<f64>], ys: &[usize]) -> f64 {
        let Forward { probabilities, .. } = self.forward(xs);
        probabilities.iter().zip(ys).map(|(p, &y)| -p[y].ln()).sum()
    }

    /// The gradient of [`ElmanNetwork::loss`] in every parameter.
    #[must_use]
    pub fn gradient(&self, xs: &[Vec<f64>], ys: &[usize]) -> Self {
        let Forward { hidden, probabilities } = self.forward(xs);
        let mut gradient = Self::zeros(self.u.len() / self.b.len(), self.b.len(), self.c.len());
        // W' diag(1 - h_{t+1}^2) d_{t+1}: zero after the last step.
        let mut from_after = vec![0.0; self.b.len()];
        for t in (0..xs.len()).rev() {
            let mut e = probabilities[t].clone();
            e[ys[t]] -= 1.0;
            let d = add(&transposed_times(&self.v, &e), &from_after);
            let s: Vec<f64> = d.iter().zip(&hidden[t]).map(|(d, h)| d * (1.0 - h * h)).collect();
            let before = if t == 0 { vec![0.0; s.len()] } else { hidden[t - 1].clone() };
            add_outer(&mut gradient.v, &e, &hidden[t]);
            add_outer(&mut gradient.w, &s, &before);
            add_outer(&mut gradient.u, &s, &xs[t]);
            gradient.c = add(&gradient.c, &e);
            gradient.b = add(&gradient.b, &s);
            from_after = transposed_times(&self.w, &s);
        }
        gradient
    }

    /// All parameters, one after the other.
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        let Self { u, w, b, v, c } = self;
        u.iter_mut().chain(w).chain(b).chain(v).chain(c)
    }
}

fn times(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(x.len()).map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum()).collect()
}

fn transposed_times(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; matrix.len() / x.len()];
    for (row, x) in matrix.chunks_exact(y.len()).zip(x) {
        y.iter_mut().zip(row).for_each(|(y, a)| *y += a * x);
    }
    y
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn add_outer(matrix: &mut [f64], a: &[f64], b: &[f64]) {
    for (row, a) in matrix.chunks_exact_mut(b.len()).zip(a) {
        row.iter_mut().zip(b).for_each(|(m, b)| *m += a * b);
    }
}

fn softmax(o: &[f64]) -> Vec<f64> {
    let greatest = o.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = o.iter().map(|o| (o - greatest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
