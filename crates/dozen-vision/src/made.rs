//! Made pictures whose truth is known: shapes of one kind each, of any colour, size, place and turn, on a noisy ground.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::detection::{Annotation, DetectionSet, ImageFile};
use crate::picture::Picture;

/// The kinds of shapes, in the order of their names.
pub const SHAPES: [&str; 8] = ["bar", "circle", "crescent", "cross", "ring", "square", "star", "triangle"];

/// Whether a point lies in the shape of this kind, which fills the circle about zero of radius one.
fn inside(kind: usize, x: f64, y: f64) -> bool {
    let radius = x.hypot(y);
    match SHAPES[kind] {
        "bar" => x.abs() < 0.95 && y.abs() < 0.28,
        "circle" => radius < 0.9,
        "crescent" => radius < 0.95 && (x - 0.45).hypot(y) > 0.75,
        "cross" => x.abs().max(y.abs()) < 0.9 && x.abs().min(y.abs()) < 0.26,
        "ring" => (0.55..0.95).contains(&radius),
        "square" => x.abs().max(y.abs()) < 0.7,
        "star" => {
            let point = std::f64::consts::TAU / 5.0;
            // Between a point of the star at radius one and a notch at radius 0.42.
            let angle = (y.atan2(x).rem_euclid(point) - point / 2.0).abs();
            let (notch, tip) = (0.42, 1.0);
            let (px, py) = (tip * (point / 2.0).cos(), tip * (point / 2.0).sin());
            let (ax, ay) = (notch, 0.0);
            let (qx, qy) = (radius * angle.cos(), radius * angle.sin());
            (px - ax) * (qy - ay) - (py - ay) * (qx - ax) > 0.0
        }
        _ => {
            let third = std::f64::consts::TAU / 3.0;
            let angle = y.atan2(x).rem_euclid(third) - third / 2.0;
            radius * angle.cos() < 0.45
        }
    }
}

/// Where a shape is in a picture: its middle and the circle that it fills, in pixels, and its turn.
#[derive(Clone, Copy, Debug)]
struct Pose {
    x: f64,
    y: f64,
    radius: f64,
    turn: f64,
}

/// Pictures of `size` by `size` pixels with the kinds of their shapes, places in [`SHAPES`] in turn.
pub fn shapes(count: usize, size: usize, seed: u64) -> Vec<(usize, Picture)> {
    let picture = |number: usize| {
        let mut rng = StdRng::seed_from_u64(seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let kind = number % SHAPES.len();
        let (mut picture, ground) = noisy_ground(size, &mut rng);
        let side = size as f64;
        let radius = side * rng.random_range(0.2..0.45);
        let place = |rng: &mut StdRng| rng.random_range(radius..=side - radius);
        let (x, y) = (place(&mut rng), place(&mut rng));
        let pose = Pose { x, y, radius, turn: rng.random_range(0.0..std::f64::consts::TAU) };
        draw(&mut picture, kind, pose, contrast(ground, &mut rng));
        (kind, picture)
    };
    (0..count).map(picture).collect()
}

/// The kinds of shapes in [`scenes`], places in [`SHAPES`].
const IN_SCENES: [usize; 4] = [1, 3, 5, 7];

/// Pictures of `size` by `size` pixels with one to six shapes of four kinds, apart from each other, with the boxes of their pixels. The radii are spread from one share of the side to another, evenly in their logarithms.
pub fn scenes(count: usize, size: usize, spread: [f64; 2], seed: u64) -> (DetectionSet, Vec<Picture>) {
    let mut set = DetectionSet {
        categories: IN_SCENES.iter().map(|kind| SHAPES[*kind].to_owned()).collect(),
        ..DetectionSet::default()
    };
    let mut pictures = Vec::with_capacity(count);
    for image in 0..count {
        let mut rng = StdRng::seed_from_u64(seed ^ (image as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (mut picture, ground) = noisy_ground(size, &mut rng);
        let name = format!("{image:05}.png");
        set.images.push(ImageFile { path: name.clone().into(), name, width: size, height: size });
        let wanted = rng.random_range(1..=6);
        let mut poses: Vec<Pose> = Vec::new();
        for _ in 0..10 * wanted {
            let [least, most] = spread.map(|share| size as f64 * share);
            let radius = least * (most / least).powf(rng.random());
            let place = |rng: &mut StdRng| rng.random_range(radius..=size as f64 - radius);
            let (x, y) = (place(&mut rng), place(&mut rng));
            let apart = |other: &Pose| (x - other.x).hypot(y - other.y) > radius + other.radius + 1.0;
            if poses.len() < wanted && poses.iter().all(apart) {
                poses.push(Pose { x, y, radius, turn: rng.random_range(0.0..std::f64::consts::TAU) });
            }
        }
        for pose in poses {
            let category = rng.random_range(0..IN_SCENES.len());
            let rect = draw(&mut picture, IN_SCENES[category], pose, contrast(ground, &mut rng));
            if let Some(rect) = rect {
                let area = (rect[2] - rect[0]) * (rect[3] - rect[1]);
                set.boxes.push(Annotation { image, category, rect, area, crowd: false, difficult: false });
            }
        }
        pictures.push(picture);
    }
    (set, pictures)
}

/// A ground of one colour with noise, and the colour.
fn noisy_ground(size: usize, rng: &mut StdRng) -> (Picture, [f64; 3]) {
    let colour = [0, 1, 2].map(|_| rng.random_range(30.0..225.0));
    let noise = rng.random_range(5.0..25.0);
    let mut pixels = Vec::with_capacity(size * size * 3);
    for _ in 0..size * size {
        pixels.extend(colour.map(|value| (value + noise * rng.random_range(-1.0..1.0_f64)) as u8));
    }
    (Picture { width: size, height: size, pixels }, colour)
}

/// A colour well away from another.
fn contrast(from: [f64; 3], rng: &mut StdRng) -> [f64; 3] {
    loop {
        let colour = [0, 1, 2].map(|_| rng.random_range(0.0..255.0));
        let apart: f64 = colour.iter().zip(from).map(|(a, b): (&f64, f64)| (a - b).abs()).sum();
        if apart > 200.0 {
            return colour;
        }
    }
}

/// Draws a shape, each pixel by nine points of it, and gives the box of the pixels that are more than half in it.
fn draw(picture: &mut Picture, kind: usize, pose: Pose, colour: [f64; 3]) -> Option<[f64; 4]> {
    let (sin, cos) = pose.turn.sin_cos();
    let mut rect: Option<[f64; 4]> = None;
    for (place, pixel) in picture.pixels.chunks_exact_mut(3).enumerate() {
        let (left, top) = ((place % picture.width) as f64, (place / picture.width) as f64);
        if (left - pose.x).abs().max((top - pose.y).abs()) > 1.4 * pose.radius + 1.0 {
            continue;
        }
        let hits = (0..9).filter(|point| {
            let x = (left + (f64::from(point % 3) + 0.5) / 3.0 - pose.x) / pose.radius;
            let y = (top + (f64::from(point / 3) + 0.5) / 3.0 - pose.y) / pose.radius;
            inside(kind, cos * x + sin * y, cos * y - sin * x)
        });
        let share = hits.count() as f64 / 9.0;
        for (value, colour) in pixel.iter_mut().zip(colour) {
            *value = (f64::from(*value) * (1.0 - share) + colour * share).round() as u8;
        }
        if share > 0.5 {
            let [l, t, r, b] = rect.unwrap_or([left, top, left, top]);
            rect = Some([l.min(left), t.min(top), r.max(left + 1.0), b.max(top + 1.0)]);
        }
    }
    rect
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_fill_their_circle_and_differ() {
        let area = |kind: usize| {
            let points =
                (0..200 * 200).map(|i| (f64::from(i % 200) / 100.0 - 1.0, f64::from(i / 200) / 100.0 - 1.0));
            let held: Vec<(f64, f64)> = points.filter(|(x, y)| inside(kind, *x, *y)).collect();
            assert!(held.iter().all(|(x, y)| x.hypot(*y) <= 1.3), "{}", SHAPES[kind]);
            held.len()
        };
        let mut areas: Vec<usize> = (0..SHAPES.len()).map(area).collect();
        assert!(areas.iter().all(|area| *area > 4000));
        areas.sort_unstable();
        areas.dedup();
        assert_eq!(areas.len(), SHAPES.len());
        let (first, again) = (shapes(8, 24, 1), shapes(8, 24, 1));
        assert_eq!(first, again);
        assert_ne!(first[0].1, shapes(8, 24, 2)[0].1);
    }

    #[test]
    fn scenes_have_shapes_of_many_sizes_in_their_boxes() {
        let (set, pictures) = scenes(60, 128, [0.02, 0.42], 3);
        assert_eq!((set.images.len(), pictures.len()), (60, 60));
        let sides: Vec<f64> = set.boxes.iter().map(|annotation| annotation.area.sqrt()).collect();
        let (least, most) =
            sides.iter().fold((f64::MAX, 0.0_f64), |(a, b), side| (a.min(*side), b.max(*side)));
        assert!(set.boxes.len() > 120 && least < 6.0 && most > 60.0, "{} {least} {most}", set.boxes.len());
        let within = |rect: [f64; 4]| rect.iter().all(|side| (0.0..=128.0).contains(side));
        assert!(set.boxes.iter().all(|annotation| within(annotation.rect)));
    }
}
