//! Objects that JavaScript identifies by a number: for calls made for every turn or every I/O.
//!
//! A method of a napi class costs several hundred nanoseconds (type tag, unwrapping, borrow tracking); a function that
//! takes a number costs a fraction. So each thread has a table of its objects, and the hot calls look them up there.

/// Maximum number of objects in a table: a token has 15 bits for the place and 16 for the generation.
const PLACES_MAX: usize = 1 << 15;

struct Place<T> {
    generation: u16,
    object: Option<Box<T>>,
}

pub struct Registry<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Registry<T> {
    pub const fn new() -> Self {
        Registry { places: Vec::new(), free: Vec::new() }
    }

    /// Stores `object` and returns its token; none when the table is full.
    pub fn insert(&mut self, object: T) -> Option<u32> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.places.len() < PLACES_MAX => {
                self.places.push(Place { generation: 0, object: None });
                (self.places.len() - 1) as u32
            }
            None => return None,
        };
        let place = &mut self.places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        place.object = Some(Box::new(object));
        Some((u32::from(place.generation) << 15) | index)
    }

    fn place(&mut self, token: u32) -> Option<&mut Place<T>> {
        let place = self.places.get_mut(token as usize & (PLACES_MAX - 1))?;
        (u32::from(place.generation) == token >> 15).then_some(place)
    }

    /// The object with this token, unless it was removed.
    pub fn get(&mut self, token: u32) -> Option<&mut T> {
        self.place(token)?.object.as_deref_mut()
    }

    /// Removes the object; its place is reused, its token never.
    pub fn remove(&mut self, token: u32) -> Option<Box<T>> {
        let object = self.place(token)?.object.take()?;
        self.free.push(token & (PLACES_MAX as u32 - 1));
        Some(object)
    }
}
