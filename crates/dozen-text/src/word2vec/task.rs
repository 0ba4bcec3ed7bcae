//! A pass over some words: which vectors meet, for each architecture and loss.

use std::ops::Range;

use pulp::Simd;

use super::gradient::{Link, Workspace};
use super::kernel::{add, clear, combine, copy};
use super::plan::{Kept, Plan};
use super::random::Random;
use super::{Architecture, Loss, Parameters};

/// What becomes of a gradient.
pub(crate) trait Update {
    /// Whether each group of pairs must see what the one before has changed.
    const AT_ONCE: bool;

    fn parameters(&self) -> &Parameters;

    /// Each target's row is to gain the sum of the inputs' hidden vectors by their scales.
    fn outputs<S: Simd>(&mut self, simd: S, workspace: &Workspace, inputs: &[u32], targets: &[u32]);

    /// Each row is to gain the errors of a slot.
    fn inputs<S: Simd>(&mut self, simd: S, workspace: &Workspace, rows: &[u32], slot: u32);
}

const EMPTY: u32 = u32::MAX;

/// How many words share negatives in CBOW.
const SHARING: usize = 4;

/// Some words of a block with what their gradients need.
#[derive(Debug)]
pub(crate) struct Task<'a, U> {
    plan: &'a Plan<'a>,
    pub(crate) update: U,
    pub(crate) workspace: Workspace,
    /// The words whose vectors are in the slots, by position from `base` on.
    words: Vec<u32>,
    base: usize,
    targets: Vec<u32>,
    labels: Vec<f32>,
    /// Ones, for sums of rows; as many as the longest sum so far needed.
    ones: Vec<f32>,
    rate: f32,
}

impl<'a, U: Update> Task<'a, U> {
    pub(crate) fn new(plan: &'a Plan<'a>, update: U, workspace: Workspace) -> Self {
        let (words, targets, labels, ones) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { plan, update, workspace, words, base: 0, targets, labels, ones, rate: 0.0 }
    }

    /// Learns from the words at some positions of a block.
    #[inline(always)]
    pub(crate) fn learn<S: Simd>(
        &mut self,
        simd: S,
        kept: &Kept,
        centres: Range<usize>,
        rate: f32,
        random: &mut Random,
    ) {
        self.rate = rate;
        let mut place = self.plan.noise.as_ref().map_or(0, |noise| noise.start(random));
        let sum = match self.plan.config.architecture {
            Architecture::SkipGram => None,
            Architecture::CbowMean => Some(false),
            Architecture::CbowSum => Some(true),
        };
        if !U::AT_ONCE {
            self.begin(self.reach(&centres), centres.len());
        }
        let Some(sum) = sum else {
            for centre in centres {
                let window = kept.window(centre, self.plan.config, random);
                self.skip_gram(simd, kept, centre, window, &mut place);
            }
            return self.end(simd);
        };
        let group = if self.plan.config.shared_negatives { SHARING } else { 1 };
        let mut windows: Vec<(usize, Range<usize>)> = Vec::with_capacity(group);
        let first = centres.start;
        for start in centres.clone().step_by(group) {
            windows.clear();
            for centre in start..(start + group).min(centres.end) {
                let window = kept.window(centre, self.plan.config, random);
                if window.len() > 1 {
                    windows.push((centre, window));
                }
            }
            self.cbow(simd, kept, &windows, first, sum, &mut place);
        }
        self.end(simd);
    }

    /// The positions that windows of some words can reach.
    fn reach(&self, centres: &Range<usize>) -> Range<usize> {
        let window = self.plan.config.window;
        centres.start.saturating_sub(window)..centres.end + window
    }

    /// Forgets all slots; the next ones are for these positions, and some more after them.
    #[inline(always)]
    fn begin(&mut self, positions: Range<usize>, more: usize) {
        self.base = positions.start;
        self.words.clear();
        self.words.resize(positions.len(), EMPTY);
        self.workspace.make_slots(positions.len() + more);
    }

    /// The slot with the vector of the word at a position.
    #[inline(always)]
    fn open<S: Simd>(&mut self, simd: S, kept: &Kept, position: usize) -> u32 {
        let slot = position - self.base;
        if self.words[slot] == EMPTY {
            let word = kept.words[position];
            self.words[slot] = word;
            let input = &self.update.parameters().input;
            let hidden = self.workspace.hidden.padded_mut(slot as u32);
            if let Some(bags) = &self.plan.bags {
                let bag = bags.of(word);
                clear(simd, hidden);
                if self.ones.len() < bag.len() {
                    self.ones.resize(bag.len(), 1.0);
                }
                combine(simd, hidden, 1.0 / bag.len() as f32, &self.ones, (input.view(), bag));
            } else {
                copy(simd, hidden, input.padded(word));
            }
            clear(simd, self.workspace.errors.padded_mut(slot as u32));
        }
        slot as u32
    }

    /// Passes the errors of all slots on.
    #[inline(always)]
    fn end<S: Simd>(&mut self, simd: S) {
        for slot in 0..self.words.len() {
            let word = self.words[slot];
            if word != EMPTY {
                match &self.plan.bags {
                    Some(bags) => self.update.inputs(simd, &self.workspace, bags.of(word), slot as u32),
                    None => self.update.inputs(simd, &self.workspace, &[word], slot as u32),
                }
            }
        }
        self.words.clear();
    }

    /// Context words predict the word in their midst.
    #[inline(always)]
    fn skip_gram<S: Simd>(
        &mut self,
        simd: S,
        kept: &Kept,
        centre: usize,
        window: Range<usize>,
        place: &mut usize,
    ) {
        let word = kept.words[centre];
        if self.plan.config.shared_negatives {
            if U::AT_ONCE {
                self.begin(window.clone(), 0);
            }
            let mut slots = [0; 64];
            let others = window.filter(|position| *position != centre);
            let mut others = others.peekable();
            // A window wider than the array is taken in parts.
            while others.peek().is_some() {
                let mut n = 0;
                while n < slots.len()
                    && let Some(position) = others.next()
                {
                    slots[n] = self.open(simd, kept, position);
                    n += 1;
                }
                self.predict(simd, &slots[..n], word, place);
            }
            if U::AT_ONCE {
                self.end(simd);
            }
            return;
        }
        for position in window {
            if position != centre {
                if U::AT_ONCE {
                    self.begin(position..position + 1, 0);
                }
                let slot = self.open(simd, kept, position);
                self.predict(simd, &[slot], word, place);
                if U::AT_ONCE {
                    self.end(simd);
                }
            }
        }
    }

    /// The mean or sum of the context predicts the word in its midst.
    #[inline(always)]
    fn cbow<S: Simd>(
        &mut self,
        simd: S,
        kept: &Kept,
        windows: &[(usize, Range<usize>)],
        first: usize,
        sum: bool,
        place: &mut usize,
    ) {
        let (Some(left), Some(right)) = (windows.first(), windows.last()) else { return };
        if U::AT_ONCE {
            self.begin(self.reach(&(left.0..right.0 + 1)), windows.len());
        }
        let mut mixed = [0; SHARING];
        let mut own = [0; SHARING];
        for (index, (centre, window)) in windows.iter().enumerate() {
            let after = if U::AT_ONCE { index } else { centre - first };
            let slot = (self.words.len() + after) as u32;
            self.mix(simd, kept, (*centre, window.clone()), slot, sum);
            (mixed[index], own[index]) = (slot, kept.words[*centre]);
        }
        let (mixed, own) = (&mixed[..windows.len()], &own[..windows.len()]);
        let plan = self.plan;
        match (&plan.noise, plan.config.loss) {
            (Some(noise), Loss::Negative { count, .. }) if plan.config.shared_negatives => {
                for index in 0..mixed.len() {
                    self.learn_from(
                        simd,
                        Link::Sigmoid,
                        (&mixed[index..=index], &[]),
                        (&own[index..=index], &[1.0]),
                    );
                }
                let mut targets = std::mem::take(&mut self.targets);
                targets.clear();
                noise.draw(place, count, EMPTY, &mut targets);
                self.labels.clear();
                self.labels.resize(targets.len(), 0.0);
                let labels = std::mem::take(&mut self.labels);
                self.learn_from(simd, Link::Sigmoid, (mixed, own), (&targets, &labels));
                (self.targets, self.labels) = (targets, labels);
            }
            _ => {
                for index in 0..mixed.len() {
                    self.predict(simd, &mixed[index..=index], own[index], place);
                }
            }
        }
        for ((centre, window), slot) in windows.iter().zip(mixed) {
            for position in window.clone() {
                if position != *centre {
                    let position = (position - self.base) as u32;
                    let (to, from) = self.workspace.errors.two_rows(position, *slot);
                    add(simd, to, from);
                }
            }
        }
        if U::AT_ONCE {
            self.end(simd);
        }
    }

    /// Puts the mean or sum of a window's vectors into a slot.
    #[inline(always)]
    fn mix<S: Simd>(
        &mut self,
        simd: S,
        kept: &Kept,
        (centre, window): (usize, Range<usize>),
        slot: u32,
        sum: bool,
    ) {
        let share = if sum { 1.0 } else { 1.0 / (window.len() - 1) as f32 };
        clear(simd, self.workspace.errors.padded_mut(slot));
        clear(simd, self.workspace.hidden.padded_mut(slot));
        let mut from = [0; 16];
        let mut n = 0;
        let last = if centre + 1 == window.end { centre.wrapping_sub(1) } else { window.end - 1 };
        for position in window {
            if position == centre {
                continue;
            }
            from[n] = self.open(simd, kept, position);
            n += 1;
            if n == from.len() || position == last {
                let (to, source) = self.workspace.hidden.split_before(slot);
                combine(simd, to, share, &[1.0; 16], (source, &from[..n]));
                n = 0;
            }
        }
    }

    /// Hidden vectors in some slots predict a word, by the loss of the training.
    #[inline(always)]
    fn predict<S: Simd>(&mut self, simd: S, slots: &[u32], word: u32, place: &mut usize) {
        let mut targets = std::mem::take(&mut self.targets);
        let mut labels = std::mem::take(&mut self.labels);
        let plan = self.plan;
        match (plan.config.loss, &plan.noise, &plan.tree) {
            (Loss::Negative { count, .. }, Some(noise), _) => {
                targets.clear();
                targets.push(word);
                noise.draw(place, count, word, &mut targets);
                labels.clear();
                labels.resize(targets.len(), 0.0);
                labels[0] = 1.0;
                self.learn_from(simd, Link::Sigmoid, (slots, &[]), (&targets, &labels));
            }
            (Loss::Hierarchical, _, Some(tree)) => {
                self.learn_from(simd, Link::Sigmoid, (slots, &[]), tree.way(word));
            }
            _ => {
                labels.clear();
                labels.resize(plan.all.len(), 0.0);
                labels[word as usize] = 1.0;
                self.learn_from(simd, Link::Softmax, (slots, &[]), (&plan.all, &labels));
            }
        }
        (self.targets, self.labels) = (targets, labels);
    }

    #[inline(always)]
    fn learn_from<S: Simd>(
        &mut self,
        simd: S,
        link: Link,
        inputs: (&[u32], &[u32]),
        targets: (&[u32], &[f32]),
    ) {
        let output = &self.update.parameters().output;
        self.workspace.gradient(simd, link, inputs, output.view(), targets, self.rate);
        self.update.outputs(simd, &self.workspace, inputs.0, targets.0);
    }
}
