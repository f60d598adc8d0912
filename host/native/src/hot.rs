//! Calls made for every turn or every I/O, without napi's general wrapper: the wrapper allocates and keeps books on
//! borrowed arguments, which costs more than these calls themselves. Their arguments are numbers only.

use std::ffi::CString;
use std::panic::catch_unwind;
use std::ptr;

use napi::bindgen_prelude::Object;
use napi::{Env, JsValue, sys};
use napi_derive::napi;

use crate::error::{Code, Error, Result, error};
use crate::{media, ring};

/// Maximum number of arguments.
const ARGUMENTS_MAX: usize = 4;

/// The arguments of one call.
struct Arguments {
    env: sys::napi_env,
    values: [sys::napi_value; ARGUMENTS_MAX],
}

impl Arguments {
    fn read(env: sys::napi_env, info: sys::napi_callback_info) -> Self {
        let mut values = [ptr::null_mut(); ARGUMENTS_MAX];
        let mut count = ARGUMENTS_MAX;
        // SAFETY: `env` and `info` belong to the running call; there is room for `count` values, and missing arguments
        // are filled with undefined.
        unsafe {
            sys::napi_get_cb_info(env, info, &mut count, values.as_mut_ptr(), ptr::null_mut(), ptr::null_mut());
        }
        Arguments { env, values }
    }

    fn number(&self, index: usize, name: &str) -> Result<f64> {
        let mut number = 0.0;
        // SAFETY: the value belongs to the running call.
        let status = unsafe { sys::napi_get_value_double(self.env, self.values[index], &mut number) };
        if status == sys::Status::napi_ok {
            return Ok(number);
        }
        Err(error(Code::Argument, format!("{name}: is no number")))
    }

    /// A whole number that fits an unsigned 32-bit field.
    fn u32(&self, index: usize, name: &str) -> Result<u32> {
        let number = self.number(index, name)?;
        let value = number as u32;
        if f64::from(value) == number {
            return Ok(value);
        }
        Err(error(Code::Argument, format!("{name}: {number} is no whole number from 0 to 2^32 - 1")))
    }

    /// A whole number that fits a signed 32-bit field.
    fn i32(&self, index: usize, name: &str) -> Result<i32> {
        let number = self.number(index, name)?;
        let value = number as i32;
        if f64::from(value) == number {
            return Ok(value);
        }
        Err(error(Code::Argument, format!("{name}: {number} is no whole number from -2^31 to 2^31 - 1")))
    }

    /// Arguments 1 to 3 of a copy: address, block, blocks.
    fn copy(&self) -> Result<(u32, f64, u32)> {
        Ok((self.u32(1, "address")?, self.number(2, "block")?, self.u32(3, "blocks")?))
    }
}

fn throw(env: sys::napi_env, reason: &Error) {
    let code = CString::new(reason.status.as_ref()).unwrap_or_default();
    let message = CString::new(reason.reason.as_str()).unwrap_or_default();
    // SAFETY: both strings are null-terminated and outlive the call.
    unsafe { sys::napi_throw_error(env, code.as_ptr(), message.as_ptr()) };
}

/// Runs one call: a panic does not escape, an error is thrown, the result is a number.
fn answer(env: sys::napi_env, info: sys::napi_callback_info, call: fn(&Arguments) -> Result<i32>) -> sys::napi_value {
    let panicked = |_| Err(error(Code::System, "the native addon failed (a panic)"));
    let outcome = catch_unwind(|| call(&Arguments::read(env, info))).unwrap_or_else(panicked);
    let mut value = ptr::null_mut();
    match outcome {
        // SAFETY: `value` is valid to write to.
        Ok(number) => unsafe {
            sys::napi_create_int32(env, number, &mut value);
        },
        Err(reason) => throw(env, &reason),
    }
    value
}

macro_rules! hot_calls {
    ($($symbol:ident: $call:expr;)*) => {
        $(
            extern "C" fn $symbol(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
                answer(env, info, $call)
            }
        )*
        const CALLS: &[(&str, sys::napi_callback)] = &[$((stringify!($symbol), Some($symbol)),)*];
    };
}

hot_calls! {
    ring_enter: |with| ring::enter(with.u32(0, "token")?, with.i32(1, "maxWaitMicroseconds")?);
    media_read: |with| {
        let (address, block, blocks) = with.copy()?;
        Ok(media::read(with.u32(0, "token")?, address, block, blocks))
    };
    media_write: |with| {
        let (address, block, blocks) = with.copy()?;
        Ok(media::write(with.u32(0, "token")?, address, block, blocks))
    };
    media_fill: |with| {
        let (address, block, blocks) = with.copy()?;
        Ok(media::fill(with.u32(0, "token")?, address, block, blocks))
    };
    media_discard: |with| Ok(media::discard(with.u32(0, "token")?, with.number(1, "block")?, with.u32(2, "blocks")?));
    media_run: |with| Ok(media::run(with.u32(0, "token")?, with.number(1, "block")?, with.u32(2, "blocks")?));
    media_flush: |with| Ok(media::flush(with.u32(0, "token")?));
}

/// Adds the hot calls to the addon's exports.
#[napi(module_exports)]
pub fn export_hot_calls(exports: Object, env: Env) -> napi::Result<()> {
    for (name, call) in CALLS {
        let name = CString::new(*name)?;
        let mut function = ptr::null_mut();
        // SAFETY: the name is null-terminated; the callbacks have the signature that Node-API calls.
        let status = unsafe {
            let created =
                sys::napi_create_function(env.raw(), name.as_ptr(), -1, *call, ptr::null_mut(), &mut function);
            if created == sys::Status::napi_ok {
                sys::napi_set_named_property(env.raw(), exports.raw(), name.as_ptr(), function)
            } else {
                created
            }
        };
        if status != sys::Status::napi_ok {
            return Err(napi::Error::from_status(napi::Status::from(status)));
        }
    }
    Ok(())
}
