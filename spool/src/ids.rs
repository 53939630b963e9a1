//! Lists of messages, eight bytes each: most follow one of the same log.

use crate::types::MessageId;

/// Names of messages, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    sequences: Vec<u64>,
    /// A log, and where its run ends.
    runs: Vec<(u32, u32)>,
}

impl Ids {
    pub(crate) fn len(&self) -> usize {
        self.sequences.len()
    }

    pub(crate) fn last(&self) -> Option<MessageId> {
        let (log, _) = *self.runs.last()?;
        Some(MessageId { log, sequence: *self.sequences.last()? })
    }

    pub(crate) fn push(&mut self, id: MessageId) {
        self.sequences.push(id.sequence);
        let end = self.sequences.len() as u32;
        match self.runs.last_mut() {
            Some((log, until)) if *log == id.log => *until = end,
            _ => self.runs.push((id.log, end)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = MessageId> {
        let mut runs = self.runs.iter().copied();
        let (mut log, mut until) = runs.next().unwrap_or_default();
        (0..).zip(&self.sequences).map(move |(at, sequence)| {
            if at == until {
                (log, until) = runs.next().expect("the last run ends with the list");
            }
            MessageId { log, sequence: *sequence }
        })
    }

    /// Gives spare room back.
    pub(crate) fn shrink(&mut self) {
        self.sequences.shrink_to_fit();
        self.runs.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_several_logs_come_back_in_their_order() {
        let all = [(1, 5), (1, 6), (2, 1), (1, 7), (1, 7)].map(|(log, sequence)| MessageId { log, sequence });
        let mut ids = Ids::default();
        assert_eq!((ids.iter().count(), ids.last()), (0, None));
        all.iter().for_each(|id| ids.push(*id));
        assert_eq!((ids.iter().collect::<Vec<_>>(), ids.len(), ids.last()), (all.to_vec(), 5, Some(all[4])));
        assert_eq!(ids.runs.len(), 3);
    }
}
