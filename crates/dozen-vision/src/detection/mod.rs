//! Object detection: boxes, the data that they come in, and how detections are judged.
//!
//! | part | what |
//! |---|---|
//! | [`boxes`] | overlap, and the numbers that a network corrects boxes by |
//! | [`Anchors`], [`Matcher`], [`sample`] | what a region proposal network corrects, and what it learns from |
//! | [`nms`], [`batched_nms`], [`soft_nms`] | of boxes that overlap, the surest stays |
//! | [`DetectionSet`] | images with boxes, from COCO, VOC, YOLO or a table |
//! | [`Pictured`] | the same with the images themselves |
//! | [`AveragePrecision`], [`voc_precision`] | COCO's figures and Pascal VOC's |
//! | [`ErrorKinds`], [`why_nothing_is_found`] | what is wrong with detections |

pub mod boxes;

mod anchors;
mod average_precision;
pub mod coco;
mod errors;
mod files;
mod matcher;
mod nms;
mod pictured;
mod set;
mod table;
mod voc;
mod voc_precision;
mod yolo;

pub use anchors::Anchors;
pub use average_precision::{AveragePrecision, Detection, OVERLAPS, Truth};
pub use errors::{ErrorKinds, why_nothing_is_found};
pub use files::Format;
pub use matcher::{Match, Matcher, sample};
pub use nms::{Softening, batched_nms, nms, soft_nms};
pub use pictured::Pictured;
pub use set::{Annotation, DetectionSet, ImageFile};
pub use voc_precision::{VocYear, voc_precision};
