//! Paths through a graph whose arcs have scores: the best one, and the sum of all.
//!
//! Source: the Viterbi algorithm and the forward algorithm, as in `LeCun` et al. (1998), sections V.B and VI.C.

/// From one node to a later one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Arc {
    pub from: usize,
    pub to: usize,
    /// What is read on this arc; `None` where something is left out.
    pub digit: Option<usize>,
    /// What it adds to a path's score.
    pub score: f32,
    /// The group that it stands for, if there is one.
    pub group: usize,
}

/// Nodes 0 to `last`, and arcs between them.
#[derive(Debug, Clone)]
pub(super) struct Lattice {
    last: usize,
    /// In the order of the nodes that they lead to.
    pub arcs: Vec<Arc>,
}

impl Lattice {
    pub fn new(last: usize, mut arcs: Vec<Arc>) -> Self {
        arcs.sort_by_key(|arc| (arc.to, arc.from));
        Self { last, arcs }
    }

    /// The path with the highest score, and its score.
    pub fn best_path(&self) -> (f32, Vec<&Arc>) {
        let mut scores = vec![f32::NEG_INFINITY; self.last + 1];
        let mut arrivals: Vec<Option<&Arc>> = vec![None; self.last + 1];
        scores[0] = 0.0;
        for arc in &self.arcs {
            let score = scores[arc.from] + arc.score;
            if score > scores[arc.to] {
                (scores[arc.to], arrivals[arc.to]) = (score, Some(arc));
            }
        }
        let mut path = Vec::new();
        let mut node = self.last;
        while let Some(arc) = arrivals[node] {
            path.push(arc);
            node = arc.from;
        }
        path.reverse();
        (scores[self.last], path)
    }

    /// ln Σ exp(score) over all paths, and over all paths through each arc.
    pub fn forward(&self) -> (f32, Vec<f32>) {
        let mut before = vec![f32::NEG_INFINITY; self.last + 1];
        let mut after = before.clone();
        before[0] = 0.0;
        after[self.last] = 0.0;
        for arc in &self.arcs {
            before[arc.to] = log_add(before[arc.to], before[arc.from] + arc.score);
        }
        // Backwards, an arc's end is complete before its start: all arcs that leave a node lead farther.
        for arc in self.arcs.iter().rev() {
            after[arc.from] = log_add(after[arc.from], arc.score + after[arc.to]);
        }
        let through = self.arcs.iter().map(|arc| before[arc.from] + arc.score + after[arc.to]).collect();
        (before[self.last], through)
    }

    /// ln Σ exp(score) over all paths on which at most one digit is read.
    pub fn forward_of_at_most_one(&self) -> f32 {
        let (mut none, mut one) = (vec![f32::NEG_INFINITY; self.last + 1], vec![f32::NEG_INFINITY; self.last + 1]);
        none[0] = 0.0;
        for arc in &self.arcs {
            if arc.digit.is_none() {
                none[arc.to] = log_add(none[arc.to], none[arc.from] + arc.score);
                one[arc.to] = log_add(one[arc.to], one[arc.from] + arc.score);
            } else {
                one[arc.to] = log_add(one[arc.to], none[arc.from] + arc.score);
            }
        }
        log_add(none[self.last], one[self.last])
    }

    /// ln Σ exp(score) over all paths on which these digits are read.
    pub fn forward_of(&self, digits: &[usize]) -> f32 {
        // For each node, the sum for each number of digits that have been read.
        let mut sums = vec![vec![f32::NEG_INFINITY; digits.len() + 1]; self.last + 1];
        sums[0][0] = 0.0;
        for arc in &self.arcs {
            let step = usize::from(arc.digit.is_some());
            for read in 0..=digits.len() - step.min(digits.len()) {
                if arc.digit.is_none_or(|digit| digits.get(read) == Some(&digit)) {
                    let score = sums[arc.from][read] + arc.score;
                    sums[arc.to][read + step] = log_add(sums[arc.to][read + step], score);
                }
            }
        }
        sums[self.last][digits.len()]
    }
}

/// ln(exp(a) + exp(b)).
pub(super) fn log_add(a: f32, b: f32) -> f32 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f32::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lattice() -> Lattice {
        let arc = |from, to, digit, score| Arc { from, to, digit, score, group: 0 };
        // Two pieces: read as 1 and 0, or together as 6; the second may be left out.
        let arcs = vec![
            arc(1, 2, None, -3.0),
            arc(0, 2, Some(6), 1.0),
            arc(1, 2, Some(0), 2.0),
            arc(0, 1, Some(1), 0.5),
            arc(0, 1, Some(7), -1.0),
        ];
        Lattice::new(2, arcs)
    }

    fn digits(path: &[&Arc]) -> Vec<usize> {
        path.iter().filter_map(|arc| arc.digit).collect()
    }

    #[test]
    fn the_best_path_has_the_highest_sum() {
        let lattice = lattice();
        let (score, path) = lattice.best_path();
        assert!((score - 2.5).abs() < 1e-6);
        assert_eq!(digits(&path), [1, 0]);
    }

    #[test]
    fn the_sum_over_all_paths_is_the_sum_over_all_numbers() {
        let lattice = lattice();
        let (all, through) = lattice.forward();
        let numbers: [&[usize]; 5] = [&[1, 0], &[7, 0], &[6], &[1], &[7]];
        let sum = numbers.iter().map(|number| lattice.forward_of(number).exp()).sum::<f32>();
        assert!((all.exp() - sum).abs() < 1e-4, "{all} {sum}");
        let expected = [2.5_f32, 1.0, 1.0, -2.5, -4.0].map(f32::exp).iter().sum::<f32>();
        assert!((sum - expected).abs() < 1e-4);
        // Every path begins with one of the arcs from the first node.
        let starts = lattice.arcs.iter().zip(&through).filter(|(arc, _)| arc.from == 0);
        assert!((starts.map(|(_, through)| through.exp()).sum::<f32>() - expected).abs() < 1e-4);
        assert!(lattice.forward_of(&[3]).is_infinite());
        let at_most_one = numbers.iter().filter(|n| n.len() == 1).map(|n| lattice.forward_of(n).exp()).sum::<f32>();
        assert!((lattice.forward_of_at_most_one().exp() - at_most_one).abs() < 1e-4);
    }

    #[test]
    fn a_graph_without_pieces_has_one_path() {
        let empty = Lattice::new(0, Vec::new());
        assert_eq!(empty.best_path(), (0.0, vec![]));
        assert_eq!((empty.forward().0, empty.forward_of(&[]), empty.forward_of(&[1])), (0.0, 0.0, f32::NEG_INFINITY));
    }
}
