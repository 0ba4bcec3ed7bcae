//! Rows of a table by their numbers.

use std::sync::Arc;

use burn::tensor::{Int, Tensor};

/// `y[i] = table[rows[i]]`: `[size, columns] -> [rows, columns]`. The gradient of a row of the table is the sum of those of all its
/// places, added in their order.
///
/// # Panics
/// When a number is beyond the table.
pub fn embedding(table: Tensor<2>, rows: &Arc<[u32]>) -> Tensor<2> {
    let size = table.dims()[0];
    assert!(rows.iter().all(|row| (*row as usize) < size), "rows of the table");
    #[cfg(feature = "flex")]
    if crate::has_kernels(&table.device()) {
        return kernel::run(table, rows);
    }
    embedding_reference(table, rows)
}

/// [`embedding`] in Burn's own operations.
pub fn embedding_reference(table: Tensor<2>, rows: &Arc<[u32]>) -> Tensor<2> {
    let rows: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
    let rows = Tensor::<1, Int>::from_data(rows.as_slice(), &table.device());
    table.select(0, rows)
}

#[cfg(feature = "flex")]
mod kernel {
    use std::sync::Arc;

    use burn::backend::autodiff::checkpoint::base::Checkpointer;
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
    use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
    use burn::tensor::Tensor;
    use burn_flex::FlexTensor;
    use rayon::prelude::*;

    use crate::host::{by_type, contiguous, elements, size, tensor};
    use crate::real::{Real, vectorized};

    /// The rows that are taken, of a table of so many.
    #[derive(Clone, Debug)]
    pub(super) struct Rows {
        taken: Arc<[u32]>,
        of: usize,
    }

    #[backend_extension(Flex, Autodiff)]
    pub(super) trait EmbeddingOps: Backend {
        fn take_rows(table: FloatTensor<Self>, rows: Rows) -> FloatTensor<Self>;
        fn add_rows(output_gradient: FloatTensor<Self>, rows: Rows) -> FloatTensor<Self>;
    }

    pub(super) fn run(table: Tensor<2>, rows: &Arc<[u32]>) -> Tensor<2> {
        let rows = Rows { taken: rows.clone(), of: table.dims()[0] };
        Tensor::from_dispatch(<Dispatch as EmbeddingOps>::take_rows(table.into_dispatch(), rows))
    }

    impl EmbeddingOps for Flex {
        fn take_rows(table: FlexTensor, rows: Rows) -> FlexTensor {
            let table = contiguous(table);
            by_type!(&table, gather(&table, &rows))
        }

        fn add_rows(output_gradient: FlexTensor, rows: Rows) -> FlexTensor {
            let dy = contiguous(output_gradient);
            by_type!(&dy, scatter(&dy, &rows))
        }
    }

    fn gather<E: Real>(table: &FlexTensor, rows: &Rows) -> FlexTensor {
        let columns = size(table, 1);
        let values = elements::<E>(table);
        let mut y = Vec::with_capacity(rows.taken.len() * columns);
        for &row in rows.taken.iter() {
            y.extend_from_slice(&values[row as usize * columns..][..columns]);
        }
        tensor(y, [rows.taken.len(), columns])
    }

    fn scatter<E: Real>(dy: &FlexTensor, rows: &Rows) -> FlexTensor {
        let columns = size(dy, 1);
        let gradients = elements::<E>(dy);
        let mut sums = vec![E::ZERO; rows.of * columns];
        // Each thread adds to its own rows, so that the order of a row's sum is that of its places.
        let per_task = rows.of.div_ceil(rayon::current_num_threads()).max(1);
        sums.par_chunks_mut(per_task * columns.max(1)).enumerate().for_each(|(task, sums)| {
            let own = task * per_task..(task + 1) * per_task;
            vectorized(
                #[inline(always)]
                || {
                    for (place, row) in rows.taken.iter().enumerate() {
                        if own.contains(&(*row as usize)) {
                            let into = &mut sums[(*row as usize - own.start) * columns..][..columns];
                            let from = &gradients[place * columns..][..columns];
                            for j in 0..columns {
                                into[j] += from[j];
                            }
                        }
                    }
                },
            );
        });
        tensor(sums, [rows.of, columns])
    }

    #[derive(Debug)]
    struct EmbeddingBackward;

    impl<B: EmbeddingOps> Backward<B, 1> for EmbeddingBackward {
        type State = Rows;

        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let rows = ops.state;
            unary::<B, _>(ops.parents, ops.node, grads, |dy| B::add_rows(dy, rows));
        }
    }

    impl<B: EmbeddingOps, C: CheckpointStrategy> EmbeddingOps for Autodiff<B, C> {
        fn take_rows(table: FloatTensor<Self>, rows: Rows) -> FloatTensor<Self> {
            let node = table.node();
            let y = B::take_rows(table.into_primitive(), rows.clone());
            match EmbeddingBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(rows, y),
                OpsKind::UnTracked(prep) => prep.finish(y),
            }
        }

        fn add_rows(_: FloatTensor<Self>, _: Rows) -> FloatTensor<Self> {
            unreachable!("Burn has no second derivatives")
        }
    }
}
