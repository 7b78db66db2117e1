//! What Redis does in one step that nobody comes between, in Lua.

use std::sync::LazyLock;

use redis::{Cmd, Script};

/// A script, which Redis calls by a digest of its text once it has seen it.
pub(super) struct Lua {
    text: &'static str,
    digest: LazyLock<Script>,
}

/// Sets KEYS[1] to ARGV[2] if it holds ARGV[1], with a time to live of ARGV[3] milliseconds:
/// nothing for ever, 0 is over. Answers 1, the other value it holds, or nothing.
pub(super) static COMPARE_AND_SET: Lua = Lua {
    text: SET,
    digest: LazyLock::new(|| Script::new(SET)),
};

/// Deletes KEYS[1] if it holds ARGV[1]; how many that were.
pub(super) static COMPARE_AND_DELETE: Lua = Lua {
    text: DELETE,
    digest: LazyLock::new(|| Script::new(DELETE)),
};

const SET: &str = "local held = redis.call('GET', KEYS[1])
if not held then return false end
if held ~= ARGV[1] then return held end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
elseif ARGV[3] == '0' then redis.call('DEL', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1";

const DELETE: &str = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])";

impl Lua {
    /// Calls it by its digest, which Redis may not know (any more).
    pub(super) fn by_digest(&self, key: &[u8], arguments: &[&[u8]]) -> Cmd {
        call("EVALSHA", self.digest.get_hash(), key, arguments)
    }

    /// Calls it by its text, which Redis then knows.
    pub(super) fn by_text(&self, key: &[u8], arguments: &[&[u8]]) -> Cmd {
        call("EVAL", self.text, key, arguments)
    }
}

fn call(name: &str, script: &str, key: &[u8], arguments: &[&[u8]]) -> Cmd {
    let values: usize = arguments.iter().map(|argument| argument.len()).sum();
    let size = name.len() + script.len() + 1 + key.len() + values;
    let mut command = Cmd::with_capacity(4 + arguments.len(), size);
    command.arg(name).arg(script).arg(1).arg(key);
    for argument in arguments {
        command.arg(*argument);
    }
    command
}
