//! The loop of a screen: samples from one side, keys from the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::{Sample, Screen, draw};
use crate::{Client, Failure, Settings};

/// A signal is seen within this time.
const GLANCE: Duration = Duration::from_millis(100);

/// Watches until somebody has seen enough.
pub(super) fn watch(settings: &Settings, interval: Duration) -> Result<(), Failure> {
    let samples = sampler(settings.clone(), interval);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(trouble)?;
    }
    // Puts a hook before the panic hook that gives the terminal back.
    let mut terminal = ratatui::try_init().map_err(trouble)?;
    let _restored = Restored;
    let mut screen = Screen::default();
    let mut stale = true;
    while !stop.load(Ordering::Relaxed) {
        if stale {
            terminal.draw(|frame| draw(&screen, frame.area(), frame.buffer_mut())).map_err(trouble)?;
        }
        stale = false;
        if event::poll(GLANCE).map_err(trouble)? {
            stale = true;
            if let Event::Key(key) = event::read().map_err(trouble)?
                && !pressed(&mut screen, key)
            {
                return Ok(());
            }
        }
        loop {
            match samples.try_recv() {
                Ok(sample) => screen.update(sample),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
            stale = true;
        }
    }
    Ok(())
}

/// What a key does; false when it ends the program.
fn pressed(screen: &mut Screen, key: KeyEvent) -> bool {
    if key.kind == KeyEventKind::Release {
        return true;
    }
    let count = screen.count().max(1);
    match key.code {
        KeyCode::Char('q') => return false,
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Right | KeyCode::Tab => screen.chosen = (screen.chosen + 1) % count,
        KeyCode::Left | KeyCode::BackTab => screen.chosen = (screen.chosen + count - 1) % count,
        KeyCode::Char('h' | '?') => screen.help = !screen.help,
        KeyCode::Esc => screen.help = false,
        _ => {}
    }
    true
}

/// Gives the terminal back however the loop ends.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// A thread that asks the server, so that keys are heard while it does not answer. It ends with its receiver.
#[expect(clippy::disallowed_methods, reason = "a client program, not a shard")]
fn sampler(settings: Settings, interval: Duration) -> Receiver<Result<Sample, String>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sample_on(&settings, interval, &sender));
    receiver
}

fn sample_on(settings: &Settings, interval: Duration, sender: &Sender<Result<Sample, String>>) {
    // Never sent on: it is here to wait on.
    let (_keep, never) = mpsc::channel::<()>();
    let mut client: Option<Client> = None;
    loop {
        let taken = client
            .take()
            .map_or_else(|| Client::connect(&settings.socket), Ok)
            .and_then(|mut connected| {
                let sample = Sample::take(&mut connected)?;
                client = Some(connected);
                Ok(sample)
            })
            .map_err(|failure| failure.to_string());
        if sender.send(taken).is_err() {
            return;
        }
        let Err(RecvTimeoutError::Timeout) = never.recv_timeout(interval) else { return };
    }
}

fn trouble(error: io::Error) -> Failure {
    Failure::Failed(format!("the terminal does not work: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_choose_panes_in_a_circle_and_q_quits() {
        let mut screen = Screen::of(Sample::default());
        let last = screen.count() - 1;
        let press = |screen: &mut Screen, code| pressed(screen, KeyEvent::new(code, KeyModifiers::NONE));
        assert!(press(&mut screen, KeyCode::Left));
        assert_eq!(screen.chosen, last);
        assert!(press(&mut screen, KeyCode::Right));
        assert_eq!(screen.chosen, 0);
        assert!(press(&mut screen, KeyCode::Char('h')));
        assert!(screen.help);
        assert!(!press(&mut screen, KeyCode::Char('q')));
        assert!(!pressed(&mut screen, KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }
}
