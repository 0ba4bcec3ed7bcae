# `just` lists these; each is also a plain cargo command.

default:
    @just --list

# What CI runs.
ci:
    bash .ci/run

test:
    cargo test --workspace

lint:
    cargo fmt --check
    cargo clippy --workspace --all-targets -- -D warnings

# The kernels' tests under an address sanitizer: builds everything anew, apart.
asan:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address" ASAN_OPTIONS=detect_leaks=0 CARGO_TARGET_DIR="$HOME/.cache/dozen-asan" \
        cargo test -p dozen-kernels --features flex --target x86_64-unknown-linux-gnu --tests

# One test file under Valgrind's memcheck, which has no AVX-512 but sees values that were never written.
memcheck:
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=9 --leak-check=no" \
        cargo test -p dozen-kernels --lib --test against_reference -- blocks prefix nade adam convolution

bench family:
    bench/run {{family}}
