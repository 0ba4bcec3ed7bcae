//! What `--help` shows of each command: lines that stand in the docs, too, and are run with them.

/// Of `dozen autoregressive`.
pub(crate) const AUTOREGRESSIVE: &str = concat!(
    "Examples:",
    "\n  dozen autoregressive train bits.csv --out runs/bits --epochs 20",
    "\n  dozen autoregressive score runs/bits bits.csv --out scores.csv",
    "\n  dozen autoregressive sample runs/bits -n 5 --given \"bit_0=1\"",
);

/// Of `dozen transport`.
pub(crate) const TRANSPORT: &str = concat!(
    "Examples:",
    "\n  dozen transport distance moons.csv rings.csv --columns x,y",
    "\n  dozen transport plan moons.csv rings.csv --columns x,y --out plan.csv",
    "\n  dozen transport distance moons.csv rings.csv --columns x,y --method sinkhorn --epsilon 0.05",
);

/// Of `dozen graph`.
pub(crate) const GRAPH: &str = concat!(
    "Examples:",
    "\n  dozen graph mst roads.csv --out tree.csv",
    "\n  dozen graph emst moons.csv --columns x,y --out emst.csv",
    "\n  dozen graph cluster moons.csv --columns x,y --out clusters.csv",
);

/// Of `dozen tokenizer`.
pub(crate) const TOKENIZER: &str = concat!(
    "Examples:",
    "\n  dozen tokenizer train README.md docs --vocab-size 1500 --out runs/tok",
    "\n  dozen tokenizer encode --tokenizer runs/tok README.md --out ids.npy",
    "\n  dozen tokenizer count --tokenizer runs/tok README.md docs",
);

/// Of `dozen word2vec`.
pub(crate) const WORD2VEC: &str = concat!(
    "Examples:",
    "\n  dozen word2vec train corpus.txt --dim 50 --epochs 3 --subsampling none --out runs/vec",
    "\n  dozen word2vec nearest docs.txt.gz distance -n 5",
    "\n  dozen word2vec embed runs/docs README.md --pooling sif --out lines.csv",
);

/// Of `dozen rnn`.
pub(crate) const RNN: &str = concat!(
    "Examples:",
    "\n  dozen rnn train README.md --epochs 1 --hidden 32 --out runs/writer",
    "\n  dozen rnn generate runs/writer -n 80",
    "\n  dozen rnn predict runs/parity --text \"1 0 1 1\"",
);

/// Of `dozen flow`.
pub(crate) const FLOW: &str = concat!(
    "Examples:",
    "\n  dozen flow train board.csv --columns x,y --epochs 15 --out runs/board",
    "\n  dozen flow score runs/board board.csv --out scores.csv",
    "\n  dozen flow sample runs/board -n 5",
);

/// Of `dozen vae`.
pub(crate) const VAE: &str = concat!(
    "Examples:",
    "\n  dozen vae train holes.csv --latent 4 --hidden 64 --epochs 10 --rate 0.003 --out runs/holes",
    "\n  dozen vae impute runs/holes holes.csv --out filled.csv",
    "\n  dozen vae encode runs/holes holes.csv --out latents.csv",
);

/// Of `dozen gan`.
pub(crate) const GAN: &str = concat!(
    "Examples:",
    "\n  dozen gan train blobs.csv --conditional --noise 8 --hidden 64 --iterations 300 --out runs/given",
    "\n  dozen gan sample runs/given -n 5 --class part_1",
    "\n  dozen gan eval runs/ring held-out.csv --rows 500 --train ring.csv",
);

/// Of `dozen efficientnet`.
pub(crate) const EFFICIENTNET: &str = concat!(
    "Examples:",
    "\n  dozen efficientnet train photos --image-size 24 --stem-stride 1 --epochs 1 --out runs/photos",
    "\n  dozen efficientnet predict runs/photos photos/star/00006.png --top 3",
    "\n  dozen efficientnet explain runs/shapes shapes/star/00006.png --out star.png",
);

/// Of `dozen detector`.
pub(crate) const DETECTOR: &str = concat!(
    "Examples:",
    "\n  dozen detector eval runs/d scenes/boxes.json",
    "\n  dozen detector predict runs/d scenes --shown 0.1 --out drawn",
);

/// Of `dozen compare`.
pub(crate) const COMPARE: &str = concat!(
    "Examples:",
    "\n  dozen compare moons.csv new.csv --out report",
    "\n  dozen compare moons.csv new.csv --fail-above 0.5 --json",
);

/// Of `dozen make`.
pub(crate) const MAKE: &str = concat!(
    "Examples:",
    "\n  dozen make two-moons --rows 1000 --out moons.csv",
    "\n  dozen make shapes --rows 32 --image-size 24 --out photos",
    "\n  dozen make graph --kind random --nodes 200 --edges 800 --out edges.csv",
);
