//! Verified load over emulated paths, of which one dies and comes back; and what is refused.
#![allow(clippy::unwrap_used, missing_docs)]

use pathmanager_embedded::{
    Disk, Error, Host, Io, Limits, MemoryFault, MemoryPort, Path, SgPort, Unit, UnitConfig, abi,
};

const BLOCK: u32 = 512;
const BLOCKS: u64 = 4096;
const IO_BYTES: usize = 4096;
const PLACES: usize = BLOCKS as usize * BLOCK as usize / IO_BYTES;
const WANTED: usize = 5000;
const DEPTH: u64 = 16;
const TURN_NS: u64 = 20_000;
const MS: u64 = 1_000_000;

fn config() -> UnitConfig<'static> {
    UnitConfig {
        block_bytes: BLOCK,
        blocks: BLOCKS,
        capabilities: 0,
        policy: abi::POLICY_ROUND_ROBIN,
        identity: Some(Disk::identity()),
        read_only: false,
        inherited: false,
    }
}

fn open(limits: Limits, paths: u32) -> (Host, Unit, Vec<Path>) {
    let mut host = Host::open(limits, 1, MS).unwrap();
    let unit = host.unit_add(&config()).unwrap();
    let disk = Disk::new(BLOCKS, BLOCK).unwrap();
    let handles =
        (1..=paths).map(|i| host.path_add(unit, MemoryPort::new(&disk, 100_000).unwrap(), i, 8).unwrap()).collect();
    (host, unit, handles)
}

fn pattern(place: usize, version: u32, data: &mut [u8]) {
    for (at, word) in data.chunks_exact_mut(8).enumerate() {
        let value = (place as u64) << 40 | (at as u64) << 24 | u64::from(version);
        word.copy_from_slice(&if version == 0 { [0; 8] } else { value.to_le_bytes() });
    }
}

struct Load {
    random: u64,
    versions: Vec<u32>,
    busy: Vec<bool>,
    spare: Vec<Vec<u8>>,
    submitted: usize,
    done: usize,
}

impl Load {
    fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % below as u64).unwrap()
    }

    fn submit(&mut self, host: &mut Host, unit: Unit) {
        while self.submitted < WANTED {
            let Some(mut data) = self.spare.pop() else { return };
            let place = self.draw(PLACES);
            if self.busy[place] {
                self.spare.push(data);
                return;
            }
            let is_write = self.draw(2) == 0;
            let offset = (place * IO_BYTES) as u64;
            let io = if is_write {
                pattern(place, self.versions[place] + 1, &mut data);
                Io::Write { offset, data, fua: false }
            } else {
                data.fill(0xee);
                Io::Read { offset, buffer: data }
            };
            host.submit(unit, io, (place << 1 | usize::from(is_write)) as u64).unwrap();
            self.busy[place] = true;
            self.submitted += 1;
        }
    }

    fn take(&mut self, host: &mut Host) {
        let mut expected = vec![0; IO_BYTES];
        while let Some(answer) = host.poll() {
            assert_eq!(answer.result, Ok(()));
            let cookie = usize::try_from(answer.cookie).unwrap();
            let place = cookie >> 1;
            if cookie & 1 == 1 {
                self.versions[place] += 1;
            }
            pattern(place, self.versions[place], &mut expected);
            assert!(answer.data == expected, "wrong data at place {place}");
            self.busy[place] = false;
            self.spare.push(answer.data);
            self.done += 1;
        }
    }
}

#[test]
fn nothing_fails_and_every_byte_is_right_while_a_path_dies_and_comes_back() {
    let (mut host, unit, paths) = open(Limits::appliance(), 4);
    let mut load = Load {
        random: 88_172_645_463_325_252,
        versions: vec![0; PLACES],
        busy: vec![false; PLACES],
        spare: (0..DEPTH).map(|_| vec![0; IO_BYTES]).collect(),
        submitted: 0,
        done: 0,
    };
    let (mut now_ns, mut failed, mut back, mut usable) = (MS, 0, 0, 0);
    while load.done < WANTED || usable != 0xf {
        load.submit(&mut host, unit);
        let dead = (WANTED / 4..WANTED * 3 / 4).contains(&load.done);
        host.set_fault(paths[0], if dead { MemoryFault::Dead } else { MemoryFault::Well }).unwrap();
        now_ns += if load.done < WANTED { TURN_NS } else { 10 * MS };
        host.turn(now_ns).unwrap();
        load.take(&mut host);
        while let Some(event) = host.next_event() {
            let fell = !event.argument0 & event.argument1 & abi::PATH_FLAG_FAILED != 0;
            failed += usize::from(event.kind == abi::EVENT_PATH_STATE && fell && event.path == paths[0].number());
            back += usize::from(event.kind == abi::EVENT_FAILBACK_DONE);
        }
        usable = host.unit_info(unit).unwrap().usable;
        assert!(now_ns < 3_600_000 * MS, "an hour is over: {failed} failed, {back} came back");
    }
    assert_eq!((failed, back), (1, 1));
    let ios: u64 = paths.iter().map(|path| host.path_info(*path).unwrap().ios).sum();
    assert!(ios >= WANTED as u64);
    assert!(paths.iter().all(|path| host.path_info(*path).unwrap().ios > 0));
    assert!(host.path_info(paths[0]).unwrap().errors > 0);
    assert_eq!(host.unit_info(unit).unwrap().failed, 0);
    assert_eq!(host.events_lost(), 0);
}

#[test]
fn the_deadline_is_when_the_next_command_ends() {
    let (mut host, unit, _paths) = open(Limits::tiny(), 1);
    host.turn(2 * MS).unwrap();
    host.submit(unit, Io::Read { offset: 0, buffer: vec![0; IO_BYTES] }, 7).unwrap();
    let mut now_ns = 2 * MS;
    let answer = loop {
        host.turn(now_ns).unwrap();
        if let Some(answer) = host.poll() {
            break answer;
        }
        let due_ns = host.next_deadline();
        assert!(due_ns >= now_ns && due_ns < u64::MAX);
        now_ns = due_ns;
    };
    assert_eq!((answer.cookie, answer.result), (7, Ok(())));
    assert_eq!(answer.data, vec![0; IO_BYTES]);
}

#[test]
fn what_is_refused_comes_back_with_its_data() {
    let (mut host, unit, _paths) = open(Limits::tiny(), 1);
    let data = vec![5; abi::BLOCK_BYTES_MAX as usize + BLOCK as usize];
    let refused = host.submit(unit, Io::Write { offset: 512, data: data.clone(), fua: true }, 0).unwrap_err();
    assert_eq!(refused.error, Error::RANGE);
    assert_eq!(refused.io, Io::Write { offset: 512, data, fua: true });
    for cookie in 0..u64::from(host.limits().tags) {
        host.submit(unit, Io::Flush, cookie).unwrap();
    }
    let refused = host.submit(unit, Io::Read { offset: 0, buffer: vec![1; 512] }, 0).unwrap_err();
    assert_eq!(refused.error, Error::FULL);
    assert_eq!(refused.io, Io::Read { offset: 0, buffer: vec![1; 512] });
    assert_eq!(refused.error.to_string(), "every tag is in use: fetch answers with pm_poll");
}

#[test]
fn mistakes_have_names() {
    assert_eq!(Host::open(Limits { units: 0, ..Limits::tiny() }, 0, 0).err(), Some(Error::RANGE));
    assert_eq!(Host::open(Limits { region_bytes: 4096, ..Limits::tiny() }, 0, 0).err(), Some(Error::RANGE));
    assert_eq!(Disk::new(u64::MAX, 512).err(), Some(Error::ARGUMENT));
    assert_eq!(Disk::new(8, 500).err(), Some(Error::ARGUMENT));
    assert_eq!(SgPort::open(c"/dev/null", 8).err().and_then(|error| error.raw_os_error()), Some(25));
    let (mut host, unit, paths) = open(Limits::tiny(), 1);
    let disk = Disk::new(BLOCKS, BLOCK).unwrap();
    let mut add = |priority| host.path_add(unit, MemoryPort::new(&disk, 0).unwrap(), priority, 8).err();
    assert_eq!(add(0), Some(Error::RANGE));
    assert_eq!(add(1), Some(Error::PRIORITY_IN_USE));
    assert_eq!(add(2), None);
    assert_eq!(add(3), Some(Error::LIMIT));
    assert_eq!(host.unit_remove(unit), Err(Error::BUSY));
    assert_eq!(host.path_set(paths[0], 999, 0), Err(Error::PROPERTY));
    host.turn(5 * MS).unwrap();
    assert_eq!(host.turn(4 * MS), Err(Error::CLOCK));
    assert_eq!(host.failure(), None);
}

/// A port is dropped only when its last command has ended, whether or not the host is.
#[test]
fn removed_paths_give_their_places_back() {
    let (mut host, unit, paths) = open(Limits::tiny(), 1);
    let mut now_ns = 2 * MS;
    host.turn(now_ns).unwrap();
    host.submit(unit, Io::Write { offset: 0, data: vec![3; 512], fua: false }, 0).unwrap();
    host.turn(now_ns).unwrap();
    host.path_remove(paths[0]).unwrap();
    assert_eq!(host.set_fault(paths[0], MemoryFault::Dead), Err(Error::HANDLE));
    assert!(host.poll().is_none());
    let disk = Disk::new(BLOCKS, BLOCK).unwrap();
    for priority in 1..200 {
        now_ns += MS;
        host.turn(now_ns).unwrap();
        let path = host.path_add(unit, MemoryPort::new(&disk, 0).unwrap(), priority, 8).unwrap();
        host.path_remove(path).unwrap();
    }
    // Dropped with a path that is going, and with one that works.
    host.path_add(unit, MemoryPort::new(&disk, MS).unwrap(), 1, 8).unwrap();
}
