//! The host: units, paths, requests, the turn.

use std::ffi::CStr;
use std::ptr::NonNull;

use crate::abi;
use crate::error::{Error, checked};
use crate::port::{MemoryFault, Port};
use crate::request::{Answer, Io, Refused};
use crate::sys;

/// A logical unit of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit(u32);

/// A path of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path(u32);

impl Unit {
    /// The number that events have for it.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl Path {
    /// The number that events have for it.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

/// What a logical unit is.
#[derive(Clone, Copy, Debug)]
pub struct UnitConfig<'a> {
    /// 512 or 4096.
    pub block_bytes: u32,
    /// Number of blocks.
    pub blocks: u64,
    /// `UNIT_CAN_*` of [`crate::abi`].
    pub capabilities: u32,
    /// `POLICY_*` of [`crate::abi`].
    pub policy: u32,
    /// What every path has to show; `None`: paths are not asked.
    pub identity: Option<&'a [u8]>,
    /// Writes are refused.
    pub read_only: bool,
    /// Commands of a host before this one may still be under way: writes wait until `UNIT_SET_LEFTOVERS` is set to 0.
    pub inherited: bool,
}

struct InFlight {
    cookie: u64,
    data: Vec<u8>,
}

struct Place {
    path: Path,
    port: Port,
    removed: bool,
}

/// An instance of the core with its paths. It belongs to one thread.
pub struct Host {
    raw: NonNull<sys::pm_host>,
    limits: sys::pm_limits,
    /// By the number that C has as the cookie.
    in_flight: Box<[Option<InFlight>]>,
    free: Vec<usize>,
    places: Vec<Place>,
    sg: Vec<*mut sys::pm_sg_port>,
    removals: usize,
}

impl sys::pm_limits {
    /// One unit, two paths, 16 requests.
    #[must_use]
    pub fn tiny() -> Self {
        // SAFETY: a constant of the library.
        unsafe { sys::pm_tiny }
    }

    /// 8 units, 32 paths, 64 requests.
    #[must_use]
    pub fn appliance() -> Self {
        // SAFETY: a constant of the library.
        unsafe { sys::pm_appliance }
    }

    /// 64 units, 512 paths, 1024 requests.
    #[must_use]
    pub fn server() -> Self {
        // SAFETY: a constant of the library.
        unsafe { sys::pm_server }
    }
}

impl Host {
    /// Lays everything out; nothing is allocated later but for ports. `region_bytes` has to be 0: data is moved in and out instead.
    ///
    /// # Errors
    /// [`Error::RANGE`], [`Error::MEMORY`], [`Error::VERSION`].
    pub fn open(limits: sys::pm_limits, seed: u64, now_ns: u64) -> Result<Self, Error> {
        if limits.region_bytes != 0 {
            return Err(Error::RANGE);
        }
        let options = sys::pm_options { limits, seed, now_ns, memory: std::ptr::null_mut(), memory_bytes: 0 };
        let mut raw = std::ptr::null_mut();
        // SAFETY: both point to what C expects, for the time of the call.
        checked(unsafe { sys::pm_open(&raw mut raw, &raw const options) })?;
        let raw = NonNull::new(raw).ok_or(Error::MEMORY)?;
        let tags = limits.tags as usize;
        let paths = limits.paths as usize;
        Ok(Self {
            raw,
            limits,
            in_flight: std::iter::repeat_with(|| None).take(tags).collect(),
            free: (0..tags).rev().collect(),
            places: Vec::with_capacity(paths),
            sg: Vec::with_capacity(paths),
            removals: 0,
        })
    }

    /// For ports of your own (`sys::pm_path_add`) and what is not offered here. What is done with it keeps to `pathmanager.h`;
    /// requests are submitted and fetched here alone.
    #[must_use]
    pub fn raw(&self) -> *mut sys::pm_host {
        self.raw.as_ptr()
    }

    /// What ended the core ([`Error::CORE`]), with its place in `assembly/`.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        // SAFETY: the host is open; the text is copied before any other call.
        let text = unsafe { sys::pm_failure(self.raw()) };
        // SAFETY: not NULL, and ended by a zero.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    }

    /// Adds a logical unit.
    ///
    /// # Errors
    /// [`Error::LIMIT`], [`Error::RANGE`].
    pub fn unit_add(&mut self, config: &UnitConfig<'_>) -> Result<Unit, Error> {
        let identity = config.identity.unwrap_or_default();
        let raw = sys::pm_unit_config {
            block_bytes: config.block_bytes,
            blocks: config.blocks,
            capabilities: config.capabilities,
            policy: config.policy,
            identity: config.identity.map_or(std::ptr::null(), <[u8]>::as_ptr),
            identity_bytes: u32::try_from(identity.len()).map_err(|_| Error::RANGE)?,
            io_timeout_ms: 0,
            no_path_timeout_ms: 0,
            read_only: config.read_only,
            inherited: config.inherited,
        };
        // SAFETY: the host is open; the configuration and its identity are there for the time of the call.
        checked(unsafe { sys::pm_unit_add(self.raw(), &raw const raw) }).map(Unit)
    }

    /// Sets a property: `UNIT_SET_*` of [`crate::abi`].
    ///
    /// # Errors
    /// [`Error::HANDLE`], [`Error::PROPERTY`], [`Error::RANGE`].
    pub fn unit_set(&mut self, unit: Unit, property: u32, value: i64) -> Result<(), Error> {
        // SAFETY: the host is open.
        checked(unsafe { sys::pm_unit_set(self.raw(), unit.0, property, value) }).map(drop)
    }

    /// Removes a unit without paths; its requests end with `ECANCELED`.
    ///
    /// # Errors
    /// [`Error::BUSY`]: not yet; call again after later turns.
    pub fn unit_remove(&mut self, unit: Unit) -> Result<(), Error> {
        // SAFETY: the host is open.
        checked(unsafe { sys::pm_unit_remove(self.raw(), unit.0) }).map(drop)
    }

    /// Adds a path through a port, which is the host's from now on.
    ///
    /// # Errors
    /// [`Error::HANDLE`], [`Error::PRIORITY_IN_USE`], [`Error::RANGE`], [`Error::LIMIT`].
    pub fn path_add(&mut self, unit: Unit, port: impl Into<Port>, priority: u32, depth: u32) -> Result<Path, Error> {
        self.drop_idle();
        let port = port.into();
        // SAFETY: the host is open; the port keeps its address, and is dropped only when the core has no path of it.
        let path = Path(checked(unsafe { sys::pm_path_add(self.raw(), unit.0, port.at(), priority, depth) })?);
        self.sg.extend(port.sg());
        self.places.push(Place { path, port, removed: false });
        Ok(path)
    }

    /// Sets a property: `PATH_SET_*` of [`crate::abi`].
    ///
    /// # Errors
    /// [`Error::HANDLE`], [`Error::PROPERTY`], [`Error::RANGE`], [`Error::PRIORITY_IN_USE`].
    pub fn path_set(&mut self, path: Path, property: u32, value: i64) -> Result<(), Error> {
        // SAFETY: the host is open.
        checked(unsafe { sys::pm_path_set(self.raw(), path.0, property, value) }).map(drop)
    }

    /// Its I/O goes elsewhere; the port is closed when its last command has ended.
    ///
    /// # Errors
    /// [`Error::HANDLE`].
    pub fn path_remove(&mut self, path: Path) -> Result<(), Error> {
        // SAFETY: the host is open.
        checked(unsafe { sys::pm_path_remove(self.raw(), path.0) })?;
        for place in self.places.iter_mut().filter(|place| place.path == path && !place.removed) {
            place.removed = true;
            self.removals += 1;
        }
        Ok(())
    }

    /// Breaks or mends an emulated port.
    ///
    /// # Errors
    /// [`Error::HANDLE`]: there is no such path, or its port is not emulated.
    pub fn set_fault(&mut self, path: Path, fault: MemoryFault) -> Result<(), Error> {
        let place = self.places.iter().find(|place| place.path == path && !place.removed);
        match place.map(|place| &place.port) {
            Some(Port::Memory(port)) => {
                port.set_fault(fault);
                Ok(())
            }
            _ => Err(Error::HANDLE),
        }
    }

    /// Drops the ports of removed paths that are gone.
    fn drop_idle(&mut self) {
        if self.removals == 0 {
            return;
        }
        let raw = self.raw();
        let sg = &mut self.sg;
        self.places.retain(|place| {
            // SAFETY: the host is open, and so far the port is there.
            let gone = place.removed && unsafe { sys::pm_port_idle(raw, place.port.at()) };
            if gone {
                sg.retain(|one| Some(*one) != place.port.sg());
            }
            !gone
        });
        self.removals = self.places.iter().filter(|place| place.removed).count();
    }

    /// Takes a request; it goes out with the next turn.
    ///
    /// # Errors
    /// [`Error::FULL`]: as many as `tags` are submitted and not fetched. [`Error::RANGE`], [`Error::HANDLE`], [`Error::CORE`].
    pub fn submit(&mut self, unit: Unit, io: Io, cookie: u64) -> Result<(), Refused> {
        let Some(slot) = self.free.last().copied() else {
            return Err(Refused { error: Error::FULL, io });
        };
        let (operation, flags, offset, bytes, mut data) = match io {
            Io::Read { offset, buffer } => (abi::OPERATION_READ, 0, offset, buffer.len() as u64, buffer),
            Io::Write { offset, data, fua } => {
                let flags = if fua { abi::OPERATION_FLAG_FUA } else { 0 };
                (abi::OPERATION_WRITE, flags, offset, data.len() as u64, data)
            }
            Io::Flush => (abi::OPERATION_FLUSH, 0, 0, 0, Vec::new()),
            Io::Trim { offset, bytes } => (abi::OPERATION_TRIM, 0, offset, bytes, Vec::new()),
            Io::WriteZeroes { offset, bytes } => (abi::OPERATION_WRITE_ZEROES, 0, offset, bytes, Vec::new()),
        };
        let at = data.as_mut_ptr().cast();
        let request = sys::pm_io { unit: unit.0, operation, flags, offset, bytes, data: at, cookie: slot as u64 };
        // SAFETY: the host is open. The data stays in `in_flight`, untouched and where it is, until its answer: without a region
        // nothing is `held`, so that no command touches it after that.
        if let Err(error) = checked(unsafe { sys::pm_submit(self.raw(), &raw const request) }) {
            let io = match operation {
                abi::OPERATION_READ => Io::Read { offset, buffer: data },
                abi::OPERATION_WRITE => Io::Write { offset, data, fua: flags != 0 },
                abi::OPERATION_FLUSH => Io::Flush,
                abi::OPERATION_TRIM => Io::Trim { offset, bytes },
                _ => Io::WriteZeroes { offset, bytes },
            };
            return Err(Refused { error, io });
        }
        self.free.pop();
        self.in_flight[slot] = Some(InFlight { cookie, data });
        Ok(())
    }

    /// The next answer.
    pub fn poll(&mut self) -> Option<Answer> {
        let mut raw = sys::pm_answer { cookie: 0, error: 0, held: false, returned: false, elsewhere: false, tag: 0 };
        // SAFETY: the host is open; there is room for the one answer that is asked for.
        if unsafe { sys::pm_poll(self.raw(), &raw mut raw, 1) } != 1 {
            return None;
        }
        let slot = usize::try_from(raw.cookie).ok()?;
        let InFlight { cookie, data } = self.in_flight.get_mut(slot)?.take()?;
        self.free.push(slot);
        let result = if raw.error == 0 { Ok(()) } else { Err(raw.error) };
        Some(Answer { cookie, result, data })
    }

    /// Does all that can be done now.
    ///
    /// # Errors
    /// [`Error::CLOCK`]: the time went back, nothing was done. [`Error::CORE`]: see [`Self::failure`].
    pub fn turn(&mut self, now_ns: u64) -> Result<(), Error> {
        // SAFETY: the host is open, its ports are there.
        checked(unsafe { sys::pm_turn(self.raw(), now_ns) })?;
        self.drop_idle();
        Ok(())
    }

    /// When the next turn is due at the latest; `u64::MAX`: when something comes.
    #[must_use]
    pub fn next_deadline(&self) -> u64 {
        // SAFETY: the host is open, its ports are there.
        unsafe { sys::pm_next_deadline(self.raw()) }
    }

    /// Waits until a command of a port of SCSI generic has ended, or until `deadline_ns` of [`crate::clock_ns`].
    pub fn wait(&mut self, deadline_ns: u64) {
        let count = i32::try_from(self.sg.len()).unwrap_or(i32::MAX);
        // SAFETY: the pointers are those of ports that are there: they leave the list before they are dropped.
        unsafe { sys::pm_sg_wait(self.sg.as_ptr(), count, deadline_ns) }
    }

    /// The oldest event that was not fetched.
    pub fn next_event(&mut self) -> Option<sys::pm_event> {
        let mut event = std::mem::MaybeUninit::uninit();
        // SAFETY: the host is open; it fills the event when it answers true.
        unsafe { sys::pm_next_event(self.raw(), event.as_mut_ptr()).then(|| event.assume_init()) }
    }

    /// Events that were not fetched in time.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        // SAFETY: the host is open.
        unsafe { sys::pm_events_lost(self.raw()) }
    }

    /// Statistics of a path.
    ///
    /// # Errors
    /// [`Error::HANDLE`].
    pub fn path_info(&self, path: Path) -> Result<sys::pm_path_info, Error> {
        let mut info = std::mem::MaybeUninit::uninit();
        // SAFETY: the host is open; it fills the answer when there is no error.
        checked(unsafe { sys::pm_path_info(self.raw(), path.0, info.as_mut_ptr()) })?;
        // SAFETY: there was none.
        Ok(unsafe { info.assume_init() })
    }

    /// Statistics of a unit.
    ///
    /// # Errors
    /// [`Error::HANDLE`].
    pub fn unit_info(&self, unit: Unit) -> Result<sys::pm_unit_info, Error> {
        let mut info = std::mem::MaybeUninit::uninit();
        // SAFETY: the host is open; it fills the answer when there is no error.
        checked(unsafe { sys::pm_unit_info(self.raw(), unit.0, info.as_mut_ptr()) })?;
        // SAFETY: there was none.
        Ok(unsafe { info.assume_init() })
    }

    /// What it was opened with.
    #[must_use]
    pub fn limits(&self) -> sys::pm_limits {
        self.limits
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: it is closed once; ports and data are dropped after it. Commands may be under way, but these ports touch their
        // data in a turn only, and there is none any more.
        unsafe { sys::pm_abandon(self.raw()) }
    }
}
