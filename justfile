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

# The kernels' tests under Valgrind's memcheck, which stands in for an address sanitizer on stable Rust.
memcheck:
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=9 --leak-check=no" \
        cargo test -p dozen-kernels --lib --test against_reference -- blocks prefix nade adam pointwise

bench family:
    bench/run {{family}}
