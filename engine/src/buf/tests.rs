use super::*;
use crate::os::bufring::Sizes;
use crate::testing::on_a_shard;

#[test]
fn an_aligned_buffer_is_aligned_and_holds_what_was_put_in() {
    let mut buf = AlignedBuf::with_capacity(5000);
    assert_eq!((buf.capacity(), buf.remaining(), buf.len()), (8192, 8192, 0));
    assert_eq!(buf.as_ptr() as usize % PAGE, 0);
    buf.extend_from_slice(b"spool");
    buf.pad_to(512);
    assert_eq!((&buf[..5], buf.len()), (&b"spool"[..], 512));
    assert!(buf[5..].iter().all(|&byte| byte == 0));
    buf[0] = b'S';
    buf.resize(3);
    buf.resize(6);
    assert_eq!(&*buf, b"Spo\0\0\0");
    buf.clear();
    assert!(buf.is_empty());
    assert_eq!(AlignedBuf::with_capacity(0).capacity(), PAGE);
}

#[test]
#[should_panic(expected = "4097 bytes into 4096 left")]
fn an_aligned_buffer_does_not_grow() {
    AlignedBuf::with_capacity(1).extend_from_slice(&[0; 4097]);
}

#[test]
fn the_pool_gives_a_buffer_again_and_keeps_a_bounded_number_of_bytes() {
    on_a_shard(|| async {
        let first = AlignedBuf::with_capacity(PAGE);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(AlignedBuf::with_capacity(PAGE).as_ptr(), address);
        let many: Vec<AlignedBuf> = (0..20).map(|_| AlignedBuf::with_capacity(1 << 20)).collect();
        drop(many);
        let kept = shard::with(|shard| shard.pool.bytes());
        assert!((1 << 20..=limits::POOL_BYTES).contains(&kept), "{kept} bytes");
    });
}

fn ring(count: u16, low: usize, heap_limit: usize) -> Rc<BufRing> {
    Rc::new(BufRing::new(Sizes { count, buffer_bytes: 16, low, heap_limit }))
}

#[test]
fn received_buffers_go_back_when_dropped() {
    let ring = ring(4, 0, 0);
    let held: Vec<RecvBuf> = (0..4).map(|number| RecvBuf::received(&ring, number, 3)).collect();
    assert_eq!((ring.free(), held[2].len()), (0, 3));
    assert!(!ring.publish());
    drop(held);
    assert_eq!(ring.free(), 4);
    assert!(ring.publish() && !ring.publish());
}

#[test]
fn a_low_ring_copies_to_the_heap_up_to_a_limit() {
    let ring = ring(8, 6, 20);
    let held: Vec<RecvBuf> = (0..2).map(|number| RecvBuf::received(&ring, number, 16)).collect();
    assert_eq!(ring.free(), 6);
    let copied = RecvBuf::received(&ring, 2, 16);
    assert!(matches!(copied.0, Inner::Heap(_)));
    assert_eq!(ring.free(), 6, "its buffer is back");
    let kept = RecvBuf::received(&ring, 3, 16);
    assert!(matches!(kept.0, Inner::Ring { .. }), "20 bytes of heap are no room for two");
    assert_eq!(ring.free(), 5);
    drop(copied);
    assert!(matches!(RecvBuf::received(&ring, 4, 16).0, Inner::Heap(_)));
    drop((held, kept));
    assert_eq!(ring.free(), 8);
}

#[test]
fn a_received_buffer_may_outlive_its_ring() {
    let ring = ring(2, 0, 0);
    let held = RecvBuf::received(&ring, 1, 5);
    drop(ring);
    assert_eq!(held.len(), 5);
}
