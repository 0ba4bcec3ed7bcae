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

# Kernels under the address sanitizer (needs RUSTC_BOOTSTRAP on stable).
asan:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test -p dozen-kernels --target x86_64-unknown-linux-gnu

bench family:
    bench/run {{family}}
