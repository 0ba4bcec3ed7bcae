//! The part of Python's pickle format that PyTorch's files are written in. Objects are taken apart, never made: a callable that is not known gives an opaque value.

/// A value, by its place among those of its pickle. Values name each other, so that a file of a few bytes that nests or
/// doubles them without end takes no memory and no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

#[derive(Debug)]
enum Value {
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function by its module and name.
    Global(String, String),
    /// What the file keeps elsewhere: PyTorch's storages.
    Persistent(Id),
    /// A callable and what it was given.
    Call(Id, Id),
    /// What does not matter here.
    Opaque,
}

/// All values of a pickle, and which is the whole.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    pub(super) whole: Id,
}

impl Pickle {
    fn value(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match self.value(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self, id: Id) -> Option<i64> {
        match self.value(id) {
            Value::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.value(id) {
            Value::Tuple(values) => Some(values),
            _ => None,
        }
    }

    /// The entries of a dictionary, ordered ones among them.
    pub(super) fn entries(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.value(id) {
            Value::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// A class or function, by its module and name.
    pub(super) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.value(id) {
            Value::Global(module, name) => Some((module, name)),
            _ => None,
        }
    }

    /// A callable and its arguments.
    pub(super) fn call(&self, id: Id) -> Option<(Id, Id)> {
        match self.value(id) {
            Value::Call(callable, arguments) => Some((*callable, *arguments)),
            _ => None,
        }
    }

    /// What says where the file keeps a value.
    pub(super) fn persistent(&self, id: Id) -> Option<Id> {
        match self.value(id) {
            Value::Persistent(id) => Some(*id),
            _ => None,
        }
    }
}

/// More values than this no file of weights has.
const MOST_VALUES: usize = 1 << 22;

/// Reads a pickle as data: nothing in it is run.
///
/// # Errors
/// When it is broken, or does what weights do not need.
pub(super) fn read(bytes: &[u8]) -> Result<Pickle, String> {
    let mut machine = Machine {
        bytes,
        at: 0,
        values: vec![Value::Opaque],
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
    };
    loop {
        if machine.values.len() > MOST_VALUES || machine.stack.len() > MOST_VALUES {
            return Err("holds too many values".into());
        }
        let at = machine.at;
        let code = machine.byte()?;
        if code == b'.' {
            let whole = machine.pop()?;
            return Ok(Pickle { values: machine.values, whole });
        }
        machine.step(code).map_err(|problem| format!("{problem} (byte {at} of its pickle)"))?;
    }
}

/// The value that does not matter.
const OPAQUE: Id = Id(0);

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: Vec<Id>,
}

impl<'a> Machine<'a> {
    /// Makes a value and puts it onto the stack.
    fn push(&mut self, value: Value) {
        self.stack.push(Id(self.values.len() as u32));
        self.values.push(value);
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("ends too early")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian number of so many bytes.
    fn number(&mut self, bytes: usize) -> Result<usize, String> {
        let taken = self.take(bytes)?;
        Ok(taken.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or("ends too early")?;
        self.at += end + 1;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    /// A text or bytes after a length of so many bytes.
    fn text(&mut self, bytes: usize) -> Result<(), String> {
        let length = self.number(bytes)?;
        let taken = self.take(length)?;
        self.push(Value::Text(String::from_utf8_lossy(taken).into_owned()));
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(|| "takes a value that is not there".into())
    }

    fn last(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "takes a value that is not there".into())
    }

    fn last_value(&mut self) -> Result<&mut Value, String> {
        let last = self.last()?;
        Ok(&mut self.values[last.0 as usize])
    }

    /// What lies above the last mark.
    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or("lacks a mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, place: usize) -> Result<(), String> {
        if place > MOST_VALUES {
            return Err("remembers too many values".into());
        }
        if self.memo.len() <= place {
            self.memo.resize(place + 1, OPAQUE);
        }
        self.memo[place] = self.last()?;
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), String> {
        let value = self.memo.get(place).copied().ok_or("recalls what it did not remember")?;
        self.stack.push(value);
        Ok(())
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let from = self.stack.len().checked_sub(count).ok_or("takes values that are not there")?;
        let values = self.stack.split_off(from);
        self.push(Value::Tuple(values));
        Ok(())
    }

    fn append(&mut self, values: Vec<Id>) -> Result<(), String> {
        if let Value::List(list) = self.last_value()? {
            list.extend(values);
        }
        Ok(())
    }

    fn set(&mut self, values: Vec<Id>) -> Result<(), String> {
        if let Value::Dict(entries) = self.last_value()? {
            entries.extend(values.as_chunks::<2>().0.iter().map(|[key, value]| (*key, *value)));
        }
        Ok(())
    }

    /// The value of a call: ordered dictionaries are made, all others kept as what they are.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let value = match &self.values[callable.0 as usize] {
            Value::Global(module, name)
                if (module.as_str(), name.as_str()) == ("collections", "OrderedDict") =>
            {
                Value::Dict(Vec::new())
            }
            Value::Global(..) => Value::Call(callable, arguments),
            _ => Value::Opaque,
        };
        self.push(value);
        Ok(())
    }

    fn step(&mut self, code: u8) -> Result<(), String> {
        match code {
            0x80 => drop(self.byte()?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            // A state that an object gets after it was made is dropped: tensors have none that matters.
            b'0' | b'b' => drop(self.pop()?),
            b'1' | 0x90 => drop(self.marked()?),
            b'2' => self.stack.push(self.last()?),
            // None, true, false and a set.
            b'N' | 0x88 | 0x89 | 0x8f => self.stack.push(OPAQUE),
            b'J' | b'K' | b'M' => self.integer(code)?,
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.stack.push(OPAQUE);
            }
            b'U' | b'C' | 0x8c => self.text(1)?,
            b'X' | b'T' | b'B' => self.text(4)?,
            0x8d => self.text(8)?,
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let values = self.marked()?;
                self.push(Value::Tuple(values));
            }
            b']' => self.push(Value::List(Vec::new())),
            b'l' => {
                let values = self.marked()?;
                self.push(Value::List(values));
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.marked()?;
                self.append(values)?;
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![key, value])?;
            }
            b'u' => {
                let values = self.marked()?;
                self.set(values)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let named = |id: Id| match &self.values[id.0 as usize] {
                    Value::Text(text) => Some(text.clone()),
                    _ => None,
                };
                let global = named(module).zip(named(name));
                self.push(global.map_or(Value::Opaque, |(module, name)| Value::Global(module, name)));
            }
            b'R' | 0x81 => self.call()?,
            b'Q' => {
                let value = self.pop()?;
                self.push(Value::Persistent(value));
            }
            b'q' => {
                let place = self.number(1)?;
                self.remember(place)?;
            }
            b'r' => {
                let place = self.number(4)?;
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' => {
                let place = self.number(1)?;
                self.recall(place)?;
            }
            b'j' => {
                let place = self.number(4)?;
                self.recall(place)?;
            }
            other => return Err(format!("has the operation {other:#04x}, which weights do not need")),
        }
        Ok(())
    }

    /// A number of four bytes with a sign, or of one or two without.
    fn integer(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            b'J' => i64::from(self.number(4)? as u32 as i32),
            b'K' => self.number(1)? as i64,
            _ => self.number(2)? as i64,
        };
        self.push(Value::Int(value));
        Ok(())
    }

    /// A number of any length; longer ones than eight bytes do not matter.
    fn long(&mut self) -> Result<(), String> {
        let length = self.number(1)?;
        let bytes = self.take(length)?;
        let value = match length {
            0 => Value::Int(0),
            1..=8 => {
                let sign = if bytes[length - 1] & 0x80 == 0 { 0 } else { -1 };
                Value::Int(bytes.iter().rev().fold(sign, |number, byte| number << 8 | i64::from(*byte)))
            }
            _ => Value::Opaque,
        };
        self.push(value);
        Ok(())
    }
}
