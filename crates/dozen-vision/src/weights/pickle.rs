//! The part of Python's pickle format that PyTorch's files are written in. Objects are taken apart, never made: a callable that is not known gives an opaque value.

use std::cell::RefCell;
use std::rc::Rc;

/// What a pickle holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(i64),
    Text(String),
    Tuple(Vec<Value>),
    List(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    /// A class or function by its module and name.
    Global(String, String),
    /// What the file keeps elsewhere: PyTorch's storages.
    Persistent(Box<Value>),
    /// What a callable was given.
    Call(Rc<(Value, Value)>),
    /// What does not matter here.
    Opaque,
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn tuple(&self) -> Option<&[Self]> {
        match self {
            Self::Tuple(values) => Some(values),
            _ => None,
        }
    }

    /// The entries of a dictionary, ordered ones among them.
    pub(super) fn entries(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::Dict(entries) => Some(entries.borrow().clone()),
            _ => None,
        }
    }
}

/// Values on the stack and in the memo may not be more than this.
const MOST_VALUES: usize = 1 << 22;

/// Reads a pickle.
pub(super) fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut machine = Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: Vec::new() };
    loop {
        if machine.stack.len() > MOST_VALUES || machine.memo.len() > MOST_VALUES {
            return Err("holds too many values".into());
        }
        let at = machine.at;
        let code = machine.byte()?;
        if code == b'.' {
            return machine.pop();
        }
        machine.step(code).map_err(|problem| format!("{problem} (byte {at} of its pickle)"))?;
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: Vec<Value>,
}

impl<'a> Machine<'a> {
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
        self.stack.push(Value::Text(String::from_utf8_lossy(taken).into_owned()));
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "takes a value that is not there".into())
    }

    fn last(&self) -> Result<&Value, String> {
        self.stack.last().ok_or_else(|| "takes a value that is not there".into())
    }

    /// What lies above the last mark.
    fn marked(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or("lacks a mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, place: usize) -> Result<(), String> {
        if place > MOST_VALUES {
            return Err("remembers too many values".into());
        }
        if self.memo.len() <= place {
            self.memo.resize(place + 1, Value::Opaque);
        }
        self.memo[place] = self.last()?.clone();
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), String> {
        let value = self.memo.get(place).cloned().ok_or("recalls what it did not remember")?;
        self.stack.push(value);
        Ok(())
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let from = self.stack.len().checked_sub(count).ok_or("takes values that are not there")?;
        let values = self.stack.split_off(from);
        self.stack.push(Value::Tuple(values));
        Ok(())
    }

    fn append(&mut self, values: Vec<Value>) -> Result<(), String> {
        if let Value::List(list) = self.last()? {
            list.borrow_mut().extend(values);
        }
        Ok(())
    }

    fn set(&mut self, values: Vec<Value>) -> Result<(), String> {
        if let Value::Dict(entries) = self.last()? {
            let pairs = values.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
            entries.borrow_mut().extend(pairs);
        }
        Ok(())
    }

    /// The value of a call: ordered dictionaries are made, all others kept as what they are.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let value = match &callable {
            Value::Global(module, name)
                if (module.as_str(), name.as_str()) == ("collections", "OrderedDict") =>
            {
                Value::Dict(Rc::default())
            }
            Value::Global(..) => Value::Call(Rc::new((callable, arguments))),
            _ => Value::Opaque,
        };
        self.stack.push(value);
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
            b'2' => self.stack.push(self.last()?.clone()),
            // None, true, false and a set.
            b'N' | 0x88 | 0x89 | 0x8f => self.stack.push(Value::Opaque),
            b'J' | b'K' | b'M' => self.integer(code)?,
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Opaque);
            }
            b'U' | b'C' | 0x8c => self.text(1)?,
            b'X' | b'T' | b'B' => self.text(4)?,
            0x8d => self.text(8)?,
            b')' => self.stack.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let values = self.marked()?;
                self.stack.push(Value::Tuple(values));
            }
            b']' => self.stack.push(Value::List(Rc::default())),
            b'l' => {
                let values = self.marked()?;
                self.stack.push(Value::List(Rc::new(RefCell::new(values))));
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.marked()?;
                self.append(values)?;
            }
            b'}' => self.stack.push(Value::Dict(Rc::default())),
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
                self.stack.push(Value::Global(module, name));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let named = |value: &Value| value.text().map(str::to_owned);
                let global = named(&module).zip(named(&name));
                self.stack.push(global.map_or(Value::Opaque, |(module, name)| Value::Global(module, name)));
            }
            b'R' | 0x81 => self.call()?,
            b'Q' => {
                let value = self.pop()?;
                self.stack.push(Value::Persistent(Box::new(value)));
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
        self.stack.push(Value::Int(value));
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
        self.stack.push(value);
        Ok(())
    }
}
