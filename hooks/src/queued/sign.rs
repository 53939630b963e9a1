//! A DKIM signature for a report, with the arguments that a script gave: by the script function itself, so that all of its
//! options mean the same.

use std::rc::Rc;

use hostcalls::{Execution, Outcome};
use script::compile::{CompileOptions, NoLoader, Predefined, SourceText, compile};
use script::machine::{Context, Loaded};
use script::value::Value;

use super::Dkim;
use crate::runner::Runner;

const SIGN: &str = r#"
    $message = MailMessage::String($text);
    if (is_object($message) and is_object($message->signDKIM($selector, $domain, $key, $options)))
        return $message->toString();
"#;

impl Runner {
    /// The message with a signature on top.
    ///
    /// # Errors
    /// A sentence.
    pub async fn sign(&self, order: &Dkim, message: &[u8]) -> Result<Vec<u8>, String> {
        let loaded = self.signer();
        let mut context = Context::new(&loaded, self.limits());
        let values = [
            ("text", Value::from(message)),
            ("selector", order.selector.as_str().into()),
            ("domain", order.domain.as_str().into()),
            ("key", Value::from_frozen(&order.key)),
            ("options", Value::from_frozen(&order.options)),
        ];
        for (name, value) in values {
            context.set(name, value);
        }
        let execution = Execution::begin(self.environment());
        match hostcalls::run(&mut context, &execution).await {
            Outcome::Done(Value::Str(signed)) => Ok(signed.as_bytes().to_vec()),
            Outcome::Failed(error) => Err(format!("option \"dkim\": {error}")),
            _ => Err("option \"dkim\": no signature can be made with this key".to_owned()),
        }
    }
}

/// The program that signs.
pub(crate) fn program() -> Rc<Loaded> {
    let names = ["text", "selector", "domain", "key", "options"];
    let predefined = names.map(|name| Predefined { name: name.to_owned(), read_only: true });
    let options = CompileOptions { predefined: predefined.into(), ..CompileOptions::default() };
    let source = SourceText { name: "sign".to_owned(), bytes: SIGN.as_bytes().to_vec() };
    let compiled = compile(source, &mut NoLoader, &hostcalls::library(), &options);
    Loaded::new(&compiled.expect("its text is above, and a test runs it").program)
}
