//! Object detection: boxes, the data that they come in, and how detections are judged.
//!
//! | part | what |
//! |---|---|
//! | [`boxes`] | overlap, and the numbers that a network corrects boxes by |
//! | [`Anchors`], [`Matcher`], [`sample`] | what a region proposal network corrects, and what it learns from |
//! | [`nms`], [`batched_nms`], [`soft_nms`] | of boxes that overlap, the surest stays |
//! | [`DetectionSet`] | images with boxes, from COCO, VOC, YOLO or a table |
//! | [`AveragePrecision`] | COCO's figures |

pub mod boxes;

mod anchors;
mod average_precision;
pub mod coco;
mod matcher;
mod nms;
mod set;
mod table;
mod voc;
mod yolo;

pub use anchors::Anchors;
pub use average_precision::{AveragePrecision, Detection, OVERLAPS, Truth};
pub use matcher::{Match, Matcher, sample};
pub use nms::{Softening, batched_nms, nms, soft_nms};
pub use set::{Annotation, DetectionSet, Format, ImageFile};
