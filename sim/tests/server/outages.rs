//! What others depend on is gone for a while, or refuses for a while.

use std::time::Duration;

use engine::time::Instant;
use sim::sink::Mood;

use crate::nameserver::Health;
use crate::world::World;

/// For how long the name server is of no use.
const OUTAGE: Duration = Duration::from_secs(600);
/// How soon after that mail flows again.
const RECOVERY: Duration = Duration::from_secs(60);
const DOMAINS: u64 = 50;

/// Messages that are queued meanwhile: as many as SHOW_QUEUED says.
fn queued() -> u64 {
    std::env::var("SHOW_QUEUED").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// Messages that come in while all is well.
const NORMAL: u64 = 400;

#[test]
fn a_resolver_that_is_silent_for_ten_minutes_costs_no_retry_and_mail_flows_when_it_is_back() {
    outlive(Health::Silent);
}

#[test]
fn a_resolver_that_fails_everything_for_ten_minutes_costs_no_retry_and_mail_flows_when_it_is_back() {
    outlive(Health::Fails);
}

fn outlive(health: Health) {
    let mut world = World::with_domains(1, DOMAINS);
    world.start_sink(Mood::default());
    world.start_server(2);
    // What is normal: mail goes on as fast as it comes.
    let begun = world.sim.now();
    world.send(NORMAL, 20);
    world.finish_client();
    assert!(world.run_until_delivered(Duration::from_secs(60)), "it is not delivered");
    let normal = rate(NORMAL, begun, last_delivery(&world));
    // Answers that are known are good no longer when the outage begins.
    world.sim.run_for(Duration::from_secs(61));
    world.resolver.set(health);
    let begun = world.sim.now();
    world.send(queued(), 20);
    world.finish_client();
    let took = world.sim.now() - begun;
    world.sim.run_for(OUTAGE.saturating_sub(took));
    assert_eq!(world.delivered() as u64, NORMAL, "none is delivered without a resolver");
    let waited = world.log_count(" waiting ");
    world.resolver.set(Health::Answers);
    let back = world.sim.now();
    world.send(NORMAL, 20);
    world.finish_client();
    assert!(world.run_until_delivered(Duration::from_secs(3600)), "it is not delivered");
    // The log is a little behind.
    world.sim.run_for(Duration::from_secs(1));
    let again = within_the_best_second(&world, back, RECOVERY);
    let all = last_delivery(&world) - back;
    let (deferred, bounced) = (world.log_count(" deferred "), world.log_count(" bounced "));
    println!(
        "{health:?} for {} s: {} queued over {DOMAINS} domains, {waited} tries that did not count, \
         {deferred} deferred, {bounced} bounced, {} delivered with retry=0; normal {normal:.0}/s, \
         best second within {} s {again}/s, these and {NORMAL} new ones delivered {:.1} s after its return",
        OUTAGE.as_secs(),
        queued(),
        world.log_count(" retry=0 "),
        RECOVERY.as_secs(),
        all.as_secs_f64(),
    );
    assert_eq!(world.log_count(" delivered "), world.log_count(" retry=0 "), "a retry was used");
    assert_eq!((deferred, bounced, world.log_count(" expired ")), (0, 0, 0));
    // There may be no more than that.
    let possible = normal.min((queued() + NORMAL) as f64);
    assert!(again as f64 >= 0.9 * possible, "{again}/s against {normal}/s");
    let limit = RECOVERY.as_secs_f64() + (queued() + NORMAL) as f64 / (0.9 * normal);
    assert!(all.as_secs_f64() <= limit, "the last one came after {all:?}");
    world.finish();
}

/// The first exchanger is dead, and DNS does not say where the second one is: mail waited for the dead one or used a
/// retry, though only DNS failed.
#[test]
fn a_dead_host_beside_one_that_dns_does_not_know_now_costs_no_retry() {
    let mut world = World::with_domains(1, 5);
    world.start_sink(Mood::default());
    world.start_server(2);
    world.resolver.set(Health::LosesSecond);
    world.send(50, 5);
    world.finish_client();
    world.sim.run_for(Duration::from_secs(300));
    assert_eq!(world.delivered(), 0);
    assert!(world.log_count(" waiting ") >= 50, "they wait for DNS");
    world.resolver.set(Health::Answers);
    let back = world.sim.now();
    assert!(world.run_until_delivered(Duration::from_secs(600)), "it is not delivered");
    world.sim.run_for(Duration::from_secs(1));
    let last = last_delivery(&world) - back;
    assert!(last <= Duration::from_secs(150), "the last one came {last:?} after its return");
    assert_eq!((world.log_count(" deferred "), world.log_count(" retry=0 ")), (0, 50));
    world.finish();
}

fn rate(count: u64, begun: Instant, ended: Instant) -> f64 {
    count as f64 / (ended - begun).as_secs_f64()
}

fn deliveries(world: &World) -> Vec<Instant> {
    world.deliveries.borrow().taken.values().flatten().map(|delivery| delivery.at).collect()
}

fn last_delivery(world: &World) -> Instant {
    deliveries(world).into_iter().max().expect("something was delivered")
}

/// Messages in the busiest second of the time after `from`.
fn within_the_best_second(world: &World, from: Instant, limit: Duration) -> usize {
    let mut seconds = vec![0; limit.as_secs() as usize];
    for at in deliveries(world).into_iter().filter(|at| *at >= from) {
        if let Some(count) = seconds.get_mut((at - from).as_secs() as usize) {
            *count += 1;
        }
    }
    seconds.into_iter().max().unwrap_or(0)
}

/// A next hop that always answers 450, and a server whose configuration says nothing of retries.
#[test]
fn without_a_retry_block_a_next_hop_that_says_450_for_four_days_gets_all_and_for_six_days_a_report_says_so() {
    const DAY: Duration = Duration::from_secs(86_400);
    for (days, reported) in [(4, false), (6, true)] {
        let mut world = World::without_retry(3);
        world.start_sink(Mood { refuses_until_s: days * 86_400, ..Mood::default() });
        world.start_server(2);
        world.send(20, 2);
        world.finish_client();
        assert_eq!(world.accepted().len(), 20);
        world.sim.run_for(DAY * 4);
        assert_eq!((world.log_count(" bounced "), world.log_count(" expired ")), (0, 0), "all wait");
        assert_eq!(world.delivered(), 0);
        world.sim.run_for(DAY * 3);
        let tries = world.log_count(" deferred ");
        let reports = world.deliveries.borrow().reports.len();
        let (delivered, bounced) = (world.delivered(), world.log_count(" bounced "));
        println!(
            "450 for {days} days: 20 messages, {tries} tries deferred, {delivered} delivered, \
             {bounced} bounced, {reports} of them reported to their senders"
        );
        assert_eq!((delivered, bounced, reports), if reported { (0, 20, 20) } else { (20, 0, 0) });
        world.finish();
    }
}
