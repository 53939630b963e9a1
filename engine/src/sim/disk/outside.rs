//! The disk from outside of every process: what is planted on it, what is left of it after a crash.

use std::collections::BTreeSet;

use super::directory::{Directory, Ino};
use super::{Disk, Handle, Node, ROOT, components};
use crate::sim::Crash;
use crate::sim::image::{Image, SectorFate};

impl Disk {
    /// All handles of the process close, and its locks go.
    pub(in crate::sim) fn end_process(&mut self, process: u64) {
        let ended: Vec<Handle> = self
            .opened
            .iter()
            .filter(|(_, opened)| opened.process == process)
            .map(|(&handle, _)| handle)
            .collect();
        for handle in ended {
            self.close(handle);
        }
        self.collect();
    }

    /// What the crash does to the content; the processes have ended before.
    pub(in crate::sim) fn crash(&mut self, crash: Crash) {
        assert!(self.opened.is_empty(), "processes end before their host does");
        if crash == Crash::Power {
            self.lose_power();
        }
    }

    /// The whole content of a file as a reader sees it.
    pub(in crate::sim) fn content(&self, path: &str) -> Option<Vec<u8>> {
        match self.nodes.get(&self.resolve(path).ok()?)? {
            Node::File { image, .. } => Some(image.read(0, image.len() as usize)),
            Node::Dir(_) => None,
        }
    }

    /// Replaces the content of a file, durably, creating it and its directories where missing.
    pub(in crate::sim) fn plant(&mut self, path: &str, bytes: &[u8]) {
        let mut dir = ROOT;
        let mut parts: Vec<&str> = components(path).collect();
        let name = parts.pop().expect("a path names a file");
        for part in parts {
            dir = match self.lookup(dir, part) {
                Ok(ino) => ino,
                Err(_) => {
                    let ino = self.new_ino();
                    self.link_durably(dir, part, ino, Node::Dir(Directory::default()));
                    ino
                }
            };
        }
        let mut image = Image::new();
        image.write_durable(0, bytes);
        let ino = self.new_ino();
        self.link_durably(dir, name, ino, Node::File { image, lock: None });
    }

    /// Flips a bit in the file; false when there is no such byte.
    pub(in crate::sim) fn flip_bit(&mut self, path: &str, offset: u64, bit: u8) -> bool {
        let Ok(ino) = self.resolve(path) else { return false };
        match self.nodes.get_mut(&ino) {
            Some(Node::File { image, .. }) => image.flip_bit(offset, bit),
            _ => false,
        }
    }

    /// Paths of all files, in order.
    pub(in crate::sim) fn files(&self) -> Vec<String> {
        let mut out = Vec::new();
        let mut todo = vec![(ROOT, String::new())];
        while let Some((ino, path)) = todo.pop() {
            match self.nodes.get(&ino) {
                Some(Node::Dir(directory)) => {
                    todo.extend(directory.names().iter().map(|(name, &ino)| (ino, format!("{path}/{name}"))));
                }
                _ => out.push(path),
            }
        }
        out.sort();
        out
    }

    fn lose_power(&mut self) {
        let fate = SectorFate::draw(&mut self.random);
        let all_or_some = self.random.below(4);
        for node in self.nodes.values_mut() {
            match node {
                Node::File { image, .. } => image.lose_power(fate, &mut self.random),
                Node::Dir(directory) => directory.lose_power(all_or_some, &mut self.random),
            }
        }
        self.collect();
    }

    fn link_durably(&mut self, dir: Ino, name: &str, ino: Ino, node: Node) {
        self.nodes.insert(ino, node);
        let Some(Node::Dir(directory)) = self.nodes.get_mut(&dir) else { panic!("{name} is below a file") };
        directory.link_durably(name, ino);
    }

    /// Forgets what neither a directory, nor a crash, nor an open handle can bring back.
    pub(super) fn collect(&mut self) {
        let mut reachable: BTreeSet<Ino> = self.opened.values().map(|opened| opened.ino).collect();
        let mut todo: Vec<Ino> = reachable.iter().copied().chain([ROOT]).collect();
        reachable.insert(ROOT);
        while let Some(ino) = todo.pop() {
            if let Some(Node::Dir(directory)) = self.nodes.get(&ino) {
                todo.extend(directory.referenced().filter(|&child| reachable.insert(child)));
            }
        }
        self.nodes.retain(|ino, _| reachable.contains(ino));
    }
}
