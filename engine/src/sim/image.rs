//! The content of one simulated file: what a reader sees, what is on the platter, and which sectors differ.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::random::Random;

/// What a disk writes as a whole, or tears.
pub(super) const SECTOR_BYTES: usize = 512;
/// Unit of allocation, and of the alignment that direct I/O asks for.
pub(super) const PAGE_BYTES: usize = 4096;
const SECTORS_PER_PAGE: usize = PAGE_BYTES / SECTOR_BYTES;

type Page = Rc<[u8; PAGE_BYTES]>;

/// Sectors of one page that a reader sees but the platter does not hold.
#[derive(Clone, Copy, Debug, Default)]
struct Unsynced {
    /// May still reach the platter.
    dirty: u8,
    /// Given up by a failed sync: clean in the cache, never written (what Linux does).
    dropped: u8,
}

/// One file's content, twice.
#[derive(Debug)]
pub(super) struct Image {
    zero: Page,
    visible: Vec<Option<Page>>,
    durable: Vec<Option<Page>>,
    unsynced: BTreeMap<u64, Unsynced>,
    len: u64,
    durable_len: u64,
    /// Lengths the file had since the last sync: any of them may be found after a power loss.
    recent_lens: Vec<u64>,
    allocated_pages: u64,
}

impl Image {
    pub(super) fn new() -> Image {
        Image {
            zero: Rc::new([0; PAGE_BYTES]),
            visible: Vec::new(),
            durable: Vec::new(),
            unsynced: BTreeMap::new(),
            len: 0,
            durable_len: 0,
            recent_lens: Vec::new(),
            allocated_pages: 0,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes of disk space it takes.
    pub(super) fn allocated_bytes(&self) -> u64 {
        self.allocated_pages * PAGE_BYTES as u64
    }

    /// Bytes of disk space that writing there would take on top.
    pub(super) fn new_bytes(&self, offset: u64, len: usize) -> u64 {
        let holes = pages(offset, len as u64).filter(|&page| self.page(page).is_none()).count();
        holes as u64 * PAGE_BYTES as u64
    }

    fn page(&self, page: u64) -> Option<&Page> {
        self.visible.get(page as usize).and_then(Option::as_ref)
    }

    /// What a reader gets: up to `len` bytes, fewer at the end of the file.
    pub(super) fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let end = self.len.min(offset.saturating_add(len as u64));
        let mut out = Vec::with_capacity(end.saturating_sub(offset) as usize);
        let mut at = offset;
        while at < end {
            let start = (at % PAGE_BYTES as u64) as usize;
            let take = (PAGE_BYTES - start).min((end - at) as usize);
            match self.page(at / PAGE_BYTES as u64) {
                Some(page) => out.extend_from_slice(&page[start..start + take]),
                None => out.resize(out.len() + take, 0),
            }
            at += take as u64;
        }
        out
    }

    /// Puts bytes into the cache. The cache may write an older version of a sector back at any time, so a sector
    /// that is overwritten while dirty sometimes reaches the platter first.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8], random: &mut Random) {
        self.mark_dirty(offset, bytes.len() as u64, random);
        self.overlay(offset, bytes);
        self.grow_to(offset + bytes.len() as u64);
    }

    /// Puts bytes into the cache and on the platter.
    pub(super) fn write_durable(&mut self, offset: u64, bytes: &[u8]) {
        self.overlay(offset, bytes);
        self.grow_to(offset + bytes.len() as u64);
        for page in pages(offset, bytes.len() as u64) {
            self.persist(page, sectors_of(page, offset, bytes.len() as u64));
        }
        // Whatever length is found after a power loss, it allows reading this back.
        let end = offset + bytes.len() as u64;
        self.durable_len = self.durable_len.max(end);
        self.recent_lens.retain(|&len| len >= end);
    }

    /// Everything that is dirty reaches the platter. What an earlier failed sync gave up does not.
    pub(super) fn sync(&mut self) {
        let dirty: Vec<(u64, u8)> = self.unsynced.iter().map(|(&page, state)| (page, state.dirty)).collect();
        for (page, sectors) in dirty {
            self.persist(page, sectors);
        }
        self.durable_len = self.len;
        self.recent_lens.clear();
    }

    /// A sync that fails: any of the dirty sectors reached the platter, and none will be tried again.
    pub(super) fn sync_failed(&mut self, random: &mut Random) {
        let dirty: Vec<(u64, u8)> = self.unsynced.iter().map(|(&page, state)| (page, state.dirty)).collect();
        for (page, sectors) in dirty {
            let written = sectors & random.next() as u8;
            self.persist(page, written);
            if let Some(state) = self.unsynced.get_mut(&page) {
                state.dropped |= state.dirty;
                state.dirty = 0;
            }
        }
    }

    /// Cuts or extends with zeros.
    pub(super) fn set_len(&mut self, len: u64, random: &mut Random) {
        if len < self.len {
            let old_len = self.len;
            self.mark_dirty(len, old_len - len, random);
            self.cut_visible(len);
        }
        self.len = len;
        self.recent_lens.push(len);
    }

    /// Power is gone: of the sectors that were not durable each is kept, lost or torn. What the cache showed and
    /// the platter does not hold is forgotten.
    pub(super) fn lose_power(&mut self, fate: SectorFate, random: &mut Random) {
        let unsynced = std::mem::take(&mut self.unsynced);
        for (&page, state) in &unsynced {
            for sector in 0..SECTORS_PER_PAGE {
                if state.dirty & (1 << sector) != 0 {
                    self.settle_sector(page, sector, fate, random);
                }
            }
        }
        self.recent_lens.push(self.len);
        self.recent_lens.push(self.durable_len);
        self.len = self.recent_lens[random.index(self.recent_lens.len())];
        self.recent_lens.clear();
        self.durable_len = self.len;
        self.visible.resize(self.visible.len().max(self.durable.len()), None);
        self.durable.resize(self.visible.len(), None);
        for &page in unsynced.keys() {
            // Pages that were cut off, and never durable, are on neither side.
            if let Some(slot) = self.visible.get_mut(page as usize) {
                *slot = self.durable[page as usize].clone();
            }
        }
        self.cut_visible(self.len);
        self.cut_durable();
        self.allocated_pages = self.visible.iter().flatten().count() as u64;
    }

    /// Flips one bit in cache and on the platter alike. False when the file is shorter.
    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) -> bool {
        if offset >= self.len {
            return false;
        }
        let (page, at) = ((offset / PAGE_BYTES as u64) as usize, (offset % PAGE_BYTES as u64) as usize);
        for pages in [&mut self.visible, &mut self.durable] {
            if let Some(content) = pages.get_mut(page).and_then(Option::as_mut) {
                Rc::make_mut(content)[at] ^= 1 << (bit & 7);
            } else if page < pages.len() {
                let mut content = [0; PAGE_BYTES];
                content[at] ^= 1 << (bit & 7);
                pages[page] = Some(Rc::new(content));
            }
        }
        true
    }

    fn grow_to(&mut self, end: u64) {
        if end > self.len {
            self.len = end;
            if self.recent_lens.last() != Some(&end) {
                self.recent_lens.push(end);
            }
        }
    }

    fn overlay(&mut self, offset: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (page, start) = ((at / PAGE_BYTES as u64) as usize, (at % PAGE_BYTES as u64) as usize);
            let part = &bytes[done..bytes.len().min(done + PAGE_BYTES - start)];
            if page >= self.visible.len() {
                self.visible.resize(page + 1, None);
            }
            let slot = &mut self.visible[page];
            if slot.is_none() {
                self.allocated_pages += 1;
            }
            if part.len() == PAGE_BYTES {
                *slot = Some(whole_page(part, &self.zero));
            } else {
                let content = slot.get_or_insert_with(|| self.zero.clone());
                Rc::make_mut(content)[start..start + part.len()].copy_from_slice(part);
            }
            done += part.len();
        }
    }

    fn mark_dirty(&mut self, offset: u64, len: u64, random: &mut Random) {
        for page in pages(offset, len) {
            let sectors = sectors_of(page, offset, len);
            let again = self.unsynced.get(&page).map_or(0, |state| state.dirty & sectors);
            if again != 0 && random.below(4) == 0 {
                self.persist(page, again & random.next() as u8);
            }
            let state = self.unsynced.entry(page).or_default();
            state.dirty |= sectors;
            state.dropped &= !sectors;
        }
    }

    /// Copies these sectors of what readers see to the platter.
    fn persist(&mut self, page: u64, sectors: u8) {
        if sectors == 0 {
            return;
        }
        let index = page as usize;
        if index >= self.durable.len() {
            self.durable.resize(index + 1, None);
        }
        let visible = self.visible.get(index).and_then(Option::as_ref);
        if sectors == u8::MAX {
            self.durable[index] = visible.cloned();
        } else {
            let source = visible.unwrap_or(&self.zero).clone();
            let target = Rc::make_mut(self.durable[index].get_or_insert_with(|| self.zero.clone()));
            for sector in (0..SECTORS_PER_PAGE).filter(|sector| sectors & (1 << sector) != 0) {
                let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
                target[range.clone()].copy_from_slice(&source[range]);
            }
        }
        if let Some(state) = self.unsynced.get_mut(&page) {
            state.dirty &= !sectors;
            state.dropped &= !sectors;
            if state.dirty == 0 && state.dropped == 0 {
                self.unsynced.remove(&page);
            }
        }
    }

    /// Decides one sector at power loss, on the platter.
    fn settle_sector(&mut self, page: u64, sector: usize, fate: SectorFate, random: &mut Random) {
        let roll = random.below(100);
        if roll < fate.torn {
            let cut = random.index(SECTOR_BYTES);
            let start = sector * SECTOR_BYTES;
            let (from, to) =
                if random.flip() { (start, start + cut) } else { (start + cut, start + SECTOR_BYTES) };
            let source = self.page(page).unwrap_or(&self.zero).clone();
            let index = page as usize;
            if index >= self.durable.len() {
                self.durable.resize(index + 1, None);
            }
            let target = Rc::make_mut(self.durable[index].get_or_insert_with(|| self.zero.clone()));
            target[from..to].copy_from_slice(&source[from..to]);
        } else if roll < fate.torn + fate.kept {
            self.persist(page, 1 << sector);
        }
    }

    fn cut_visible(&mut self, len: u64) {
        let before = self.visible.iter().flatten().count();
        cut(&mut self.visible, len);
        let after = self.visible.iter().flatten().count();
        self.allocated_pages -= (before - after) as u64;
    }

    fn cut_durable(&mut self) {
        cut(&mut self.durable, self.len);
    }
}

/// Chances in percent for each sector that was not durable at a power loss; the rest is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct SectorFate {
    pub(super) kept: u64,
    pub(super) torn: u64,
}

impl SectorFate {
    /// One crash tends one way: all kept, all lost and every mixture find different bugs.
    pub(super) fn draw(random: &mut Random) -> SectorFate {
        match random.below(6) {
            0 => SectorFate { kept: 100, torn: 0 },
            1 => SectorFate { kept: 0, torn: 0 },
            2 => SectorFate { kept: 94, torn: 3 },
            3 => SectorFate { kept: 3, torn: 3 },
            4 => SectorFate { kept: 50, torn: 0 },
            _ => SectorFate { kept: 40, torn: 20 },
        }
    }
}

fn pages(offset: u64, len: u64) -> std::ops::Range<u64> {
    offset / PAGE_BYTES as u64..offset.saturating_add(len).div_ceil(PAGE_BYTES as u64)
}

/// The sectors of `page` that the range touches, as bits.
fn sectors_of(page: u64, offset: u64, len: u64) -> u8 {
    let start = page * PAGE_BYTES as u64;
    let from = offset.saturating_sub(start).min(PAGE_BYTES as u64) as usize / SECTOR_BYTES;
    let to = ((offset + len).saturating_sub(start).min(PAGE_BYTES as u64) as usize).div_ceil(SECTOR_BYTES);
    (from..to).fold(0, |bits, sector| bits | 1 << sector)
}

fn whole_page(bytes: &[u8], zero: &Page) -> Page {
    if bytes == &zero[..] {
        return zero.clone();
    }
    Rc::new(bytes.try_into().expect("a whole page"))
}

/// Drops the pages past `len` and zeroes the rest of the last one.
fn cut(pages: &mut Vec<Option<Page>>, len: u64) {
    let keep = len.div_ceil(PAGE_BYTES as u64) as usize;
    pages.truncate(keep);
    let rest = (len % PAGE_BYTES as u64) as usize;
    if rest != 0
        && pages.len() == keep
        && let Some(last) = pages.last_mut().and_then(Option::as_mut)
        && last[rest..].iter().any(|&byte| byte != 0)
    {
        Rc::make_mut(last)[rest..].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_durable_write_survives_every_power_loss() {
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut image = Image::new();
            image.write_durable(0, &[7; 5000]);
            image.write(5000, &[8; 9000], &mut random);
            let fate = SectorFate::draw(&mut random);
            image.lose_power(fate, &mut random);
            assert_eq!(image.read(0, 5000), [7; 5000], "seed {seed}");
        }
    }

    #[test]
    fn a_durable_write_makes_its_length_durable() {
        for seed in 0..100 {
            let mut random = Random::new(seed);
            let mut image = Image::new();
            image.write_durable(0, &[1; 512]);
            image.write_durable(512, &[1; 512]);
            image.write(1024, &[1; 512], &mut random);
            image.lose_power(SectorFate { kept: 0, torn: 0 }, &mut random);
            assert!(image.len() >= 1024, "seed {seed}: {}", image.len());
        }
    }

    #[test]
    fn a_cached_write_is_kept_lost_or_torn() {
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..500 {
            let mut random = Random::new(seed);
            let mut image = Image::new();
            image.write_durable(0, &[0; 4096]);
            image.write(512, &[9; 512], &mut random);
            assert_eq!(image.read(512, 512), [9; 512]);
            let fate = SectorFate::draw(&mut random);
            image.lose_power(fate, &mut random);
            match image.read(512, 512).iter().filter(|&&byte| byte == 9).count() {
                512 => kept += 1,
                0 => lost += 1,
                _ => torn += 1,
            }
            assert_eq!(image.read(0, 512), [0; 512]);
        }
        assert!(kept > 100 && lost > 100 && torn > 5, "{kept} {lost} {torn}");
    }

    #[test]
    fn an_overwritten_dirty_sector_may_leave_its_older_version() {
        let older = (0..500).any(|seed| {
            let mut random = Random::new(seed);
            let mut image = Image::new();
            image.write_durable(0, &[0; 4096]);
            image.write(0, &[1; 512], &mut random);
            image.write(0, &[2; 512], &mut random);
            image.lose_power(SectorFate { kept: 0, torn: 0 }, &mut random);
            image.read(0, 512) == [1; 512]
        });
        assert!(older);
    }

    #[test]
    fn a_failed_sync_gives_up_what_it_did_not_write() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut random = Random::new(seed);
            let mut image = Image::new();
            image.write_durable(0, &[0; 4096]);
            image.write(0, &[1; 4096], &mut random);
            image.sync_failed(&mut random);
            assert_eq!(image.read(0, 4096), [1; 4096], "the cache still shows it");
            image.sync();
            image.lose_power(SectorFate { kept: 100, torn: 0 }, &mut random);
            lost += u32::from(image.read(0, 4096) != [1; 4096]);
        }
        assert!(lost > 90, "{lost}");
    }

    #[test]
    fn a_length_that_was_not_synced_may_be_any_recent_one() {
        let mut lens = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut random = Random::new(seed);
            let mut image = Image::new();
            image.write(0, &[1; 1000], &mut random);
            image.write(1000, &[1; 1000], &mut random);
            let fate = SectorFate::draw(&mut random);
            image.lose_power(fate, &mut random);
            lens.insert(image.len());
        }
        assert_eq!(lens.into_iter().collect::<Vec<_>>(), [0, 1000, 2000]);
    }

    #[test]
    fn what_was_cut_off_before_it_was_durable_is_gone_after_a_power_loss() {
        let mut random = Random::new(1);
        let mut image = Image::new();
        image.write(0, &[1; PAGE_BYTES], &mut random);
        image.set_len(0, &mut random);
        image.lose_power(SectorFate { kept: 0, torn: 0 }, &mut random);
        assert!(image.read(0, PAGE_BYTES).iter().all(|&byte| byte == 0));
    }

    #[test]
    fn holes_take_no_space_and_zeros_do() {
        let mut random = Random::new(1);
        let mut image = Image::new();
        image.set_len(1 << 20, &mut random);
        assert_eq!(image.allocated_bytes(), 0);
        assert_eq!(image.new_bytes(4000, 200), 8192);
        image.write(4000, &[0; 200], &mut random);
        assert_eq!(image.new_bytes(4000, 200), 0);
        assert_eq!(image.allocated_bytes(), 8192);
        image.set_len(10, &mut random);
        assert_eq!(image.allocated_bytes(), 4096);
    }
}
