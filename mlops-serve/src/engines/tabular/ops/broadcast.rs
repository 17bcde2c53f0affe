//! Numpy's broadcasting: shapes are aligned at their last axes, and an axis of length one repeats.

use super::Scope;
use mlops_core::{Result, tensor::Tensor};

/// How the elements of several tensors meet.
#[derive(Debug)]
pub(super) struct Broadcast<const N: usize> {
    /// The shape of what comes out.
    pub(super) shape: Vec<usize>,
    /// The axes that are walked, at least one: those of the shape, or all of them as one.
    axes: Vec<usize>,
    /// For each tensor, how far the next position of each axis is: 0 where it repeats.
    strides: [Vec<usize>; N],
}

impl<const N: usize> Broadcast<N> {
    /// `InvalidInput` if two lengths of an axis differ and neither is one.
    pub(super) fn new(tensors: [&Tensor; N], scope: &Scope<'_>) -> Result<Self> {
        let shapes = tensors.map(Tensor::shape);
        if shapes.iter().all(|shape| *shape == shapes[0]) {
            // The common case: one long axis.
            let axes = vec![tensors[0].len()];
            return Ok(Self {
                shape: shapes[0].to_vec(),
                axes,
                strides: [(); N].map(|()| vec![1]),
            });
        }
        // Shapes that differ have an axis.
        let shape = common_shape(&shapes, scope)?;
        let strides = shapes.map(|own| strides(own, &shape));
        Ok(Self { axes: shape.clone(), shape, strides })
    }

    /// Calls `f` with the place in each tensor of every element that comes out, in order.
    pub(super) fn map<T>(&self, count: usize, mut f: impl FnMut([usize; N]) -> T) -> Vec<T> {
        let mut out = Vec::with_capacity(count);
        if count == 0 {
            return out;
        }
        let last = self.axes.len() - 1;
        let mut position = vec![0_usize; self.axes.len()];
        let mut places = [0_usize; N];
        loop {
            for step in 0..self.axes[last] {
                out.push(f(std::array::from_fn(|i| places[i] + step * self.strides[i][last])));
            }
            if !self.advance(&mut position, &mut places) {
                return out;
            }
        }
    }

    /// Moves on by one position of the axes before the last; false at the end.
    fn advance(&self, position: &mut [usize], places: &mut [usize; N]) -> bool {
        for axis in (0..self.axes.len() - 1).rev() {
            position[axis] += 1;
            for (place, strides) in places.iter_mut().zip(&self.strides) {
                *place += strides[axis];
            }
            if position[axis] < self.axes[axis] {
                return true;
            }
            for (place, strides) in places.iter_mut().zip(&self.strides) {
                *place -= strides[axis] * self.axes[axis];
            }
            position[axis] = 0;
        }
        false
    }
}

fn common_shape(shapes: &[&[usize]], scope: &Scope<'_>) -> Result<Vec<usize>> {
    let rank = shapes.iter().map(|shape| shape.len()).max().unwrap_or(0);
    let mut common = vec![1; rank];
    for shape in shapes {
        let aligned = common[rank - shape.len()..].iter_mut();
        for (axis, &own) in aligned.zip(*shape) {
            if *axis != own && *axis != 1 && own != 1 {
                return Err(scope.invalid(format!("shapes {shapes:?} do not fit together")));
            }
            if *axis == 1 {
                *axis = own;
            }
        }
    }
    Ok(common)
}

fn strides(own: &[usize], common: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; common.len()];
    let mut stride = 1;
    let offset = common.len() - own.len();
    for (axis, &length) in own.iter().enumerate().rev() {
        strides[offset + axis] = if length == 1 { 0 } else { stride };
        stride *= length;
    }
    strides
}
