//! Command lines that a script sees before the machine does (reference: hooks 3.2).

use hooks::Proxied;

use super::driver::Driver;

impl Driver {
    /// Answers a line.
    pub(super) async fn hook_line(&mut self) {
        let (Some(script), Some(talk)) = (self.server.hooks.proxy, &mut self.talk) else {
            return self.machine.pass_line(None);
        };
        match talk.conversation.proxy(&talk.runner, script, self.machine.shown_line()).await {
            Proxied::Pass { command, next } => {
                if next {
                    self.machine.watch_next_line();
                }
                self.machine.pass_line(command.as_deref().map(str::as_bytes));
            }
            Proxied::Reply { reply, disconnect, next } => {
                if next {
                    self.machine.watch_next_line();
                }
                self.machine.reply(&reply);
                if disconnect {
                    self.hang_up_after(&reply);
                }
            }
        }
    }
}
