//! A small table with stable keys, whose places are used again.

/// Items by key. A key is free for another item once its own was removed.
#[derive(Debug)]
pub(super) struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<usize>,
    len: usize,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, item: T) -> usize {
        self.len += 1;
        if let Some(key) = self.free.pop() {
            self.items[key] = Some(item);
            return key;
        }
        self.items.push(Some(item));
        self.items.len() - 1
    }

    pub(super) fn remove(&mut self, key: usize) -> Option<T> {
        let item = self.items.get_mut(key)?.take()?;
        self.free.push(key);
        self.len -= 1;
        Some(item)
    }

    pub(super) fn find(&mut self, key: usize) -> Option<&mut T> {
        self.items.get_mut(key)?.as_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Places that exist, used or free.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.items.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_stable_and_places_are_used_again() {
        let mut slab = Slab::default();
        let (first, second) = (slab.insert('a'), slab.insert('b'));
        assert_eq!(slab.remove(first), Some('a'));
        assert_eq!((slab.remove(first), slab.find(first)), (None, None));
        assert_eq!(slab.find(second), Some(&mut 'b'));
        for letter in 'c'..'z' {
            let key = slab.insert(letter);
            assert_eq!(slab.remove(key), Some(letter));
        }
        assert_eq!((slab.len(), slab.places()), (1, 2));
        assert_eq!(slab.iter_mut().next(), Some(&mut 'b'));
    }
}
