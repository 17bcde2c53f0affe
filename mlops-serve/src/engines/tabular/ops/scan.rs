//! `Scan`: a graph that runs once for each position of the first axis of some inputs, such as the distances of
//! rows to stored ones. Its body reads nothing from around it and holds no other body; scans start at the
//! first position of the first axis.

use super::{
    super::{
        budget::Budget,
        onnx::{Graph, Port, PortType},
        plan::Plan,
    },
    Build, Inputs, Kernel, Lowered, Scope,
    pieces::{Piece, assemble},
};
use mlops_core::{
    Error, Result,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

/// All steps together may make this many times the memory that a call may use at a time: what they make goes
/// as they go, and bounds what they do.
const TIMES_THE_ROOM: u64 = 4;
/// What each kernel of a step counts for beside the memory that it takes.
const BYTES_OF_A_CALL: u64 = 4096;
/// More steps than rows that anybody stores: each costs time, even where tensors have no elements.
const MOST_STEPS: usize = 1 << 17;

#[derive(Debug)]
struct Scan {
    body: Plan,
    /// Names of the body's inputs: the states, then a position of each scanned tensor.
    names: Vec<Arc<str>>,
    states: usize,
}

pub(super) fn scan(build: &mut Build<'_>) -> Result<Lowered> {
    if build.version < 9 {
        return Err(build.unsupported("a scan of a batch"));
    }
    let inputs = build.inputs.len();
    build.arity(1.max(inputs), usize::MAX)?;
    let scanned = build.int("num_scan_inputs")?.and_then(|count| usize::try_from(count).ok());
    let states = scanned.filter(|&scanned| scanned > 0);
    let states = states.and_then(|scanned| inputs.checked_sub(scanned));
    let states = states.ok_or_else(|| build.invalid("num_scan_inputs is none of its inputs"))?;
    for name in
        ["scan_input_axes", "scan_output_axes", "scan_input_directions", "scan_output_directions"]
    {
        if build.ints(name)?.iter().any(|&number| number != 0) {
            return Err(build.unsupported(format!("{name} other than 0")));
        }
    }
    let body = body(build, states)?;
    let specs = specs(build, &body)?;
    let names = specs.iter().map(|spec| Arc::clone(&spec.name)).collect();
    let body = Plan::new(body.constants, body.nodes, &specs, &body.outputs)
        .map_err(|error| error.context(format!("the body of {}", build.label)))?;
    let outputs: Vec<DType> = body.outputs().iter().map(|output| output.dtype).collect();
    if outputs.iter().zip(&specs).take(states).any(|(made, spec)| *made != spec.dtype) {
        return Err(build.invalid("a state changes its type"));
    }
    Ok(Lowered::new(Scan { body, names, states }, outputs))
}

/// The graph inside, which takes each input of the node and makes each state at least.
fn body(build: &mut Build<'_>, states: usize) -> Result<Graph> {
    let body = build.attributes.graph(build.label, "body")?;
    let body = body.ok_or_else(|| build.invalid("attribute \"body\" is missing"))?;
    if body.nodes.iter().any(|node| &*node.label.operator == "Scan") {
        return Err(build.unsupported("a scan inside of a scan"));
    }
    let (given, made) = (body.inputs.len(), body.outputs.len());
    if given != build.inputs.len() || made < states {
        return Err(build.invalid(format!("a body of {given} inputs and {made} outputs")));
    }
    Ok(body)
}

/// What the body takes: of the types of the node's inputs.
fn specs(build: &Build<'_>, body: &Graph) -> Result<Vec<TensorSpec>> {
    let spec = |(at, port): (usize, &Port)| {
        let dtype = build.dtype(at)?;
        if matches!(port.r#type, PortType::Tensor(declared, _) if declared != dtype) {
            return Err(build.invalid(format!("its body does not take input {at} of {dtype}")));
        }
        Ok(TensorSpec::new(Arc::clone(&port.name), dtype, Vec::new()))
    };
    body.inputs.iter().enumerate().map(spec).collect()
}

impl Kernel for Scan {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let given: Vec<&Tensor> = inputs.all().collect();
        let (states, scanned) = given.split_at(self.states);
        let steps = steps(scanned, scope)?;
        let mut states: Vec<Tensor> = states.iter().copied().cloned().collect();
        let mut made: Vec<Vec<Tensor>> = vec![Vec::new(); self.body.outputs().len() - self.states];
        let mut left = match scope.room() {
            Budget::AtATime(room) => room.saturating_mul(TIMES_THE_ROOM),
            Budget::Together(room) => room,
        };
        let calls = u64::try_from(self.body.len()).unwrap_or(u64::MAX);
        for step in 0..steps {
            left = left.saturating_sub(calls.saturating_mul(BYTES_OF_A_CALL));
            let fed = self.fed(&states, scanned, step, scope)?;
            states.clear();
            let room = Budget::Together(left.min(scope.room().bytes()));
            let (outputs, after) = self.body.run_within(&fed, None, scope.stop(), room)?;
            left = left.saturating_sub(room.bytes().saturating_sub(after.bytes()));
            for (at, (_, tensor)) in outputs.iter().enumerate() {
                match at.checked_sub(self.states) {
                    None => states.push(tensor.clone()),
                    Some(at) => keep(&mut made[at], tensor, steps, scope)?,
                }
            }
        }
        let made = made.iter().map(|steps| stacked(steps, scope));
        states.into_iter().map(Ok).chain(made).collect()
    }

    fn weights_bytes(&self) -> usize {
        usize::try_from(self.body.weights_bytes()).unwrap_or(usize::MAX)
    }
}

impl Scan {
    /// What one step takes.
    fn fed(
        &self,
        states: &[Tensor],
        scanned: &[&Tensor],
        step: usize,
        scope: &Scope<'_>,
    ) -> Result<Tensors> {
        let mut fed = Tensors::new();
        let positions = scanned.iter().map(|tensor| position(tensor, step, scope));
        let values = states.iter().cloned().map(Ok).chain(positions);
        for (name, value) in self.names.iter().zip(values) {
            fed.push(Arc::clone(name), value?)?;
        }
        Ok(fed)
    }
}

/// How many positions all scanned tensors have.
fn steps(scanned: &[&Tensor], scope: &Scope<'_>) -> Result<usize> {
    let lengths = scanned.iter().map(|tensor| tensor.shape().first().copied());
    let mut lengths =
        lengths.map(|length| length.ok_or_else(|| scope.invalid("an input without axes")));
    let first = lengths.next().unwrap_or(Ok(0))?;
    for length in lengths {
        let length = length?;
        if length != first {
            return Err(scope.invalid(format!("inputs of {first} and {length} positions")));
        }
    }
    match first {
        0 => Err(scope.unsupported("a scan of no positions")),
        1..=MOST_STEPS => Ok(first),
        more => Err(Error::too_large(format!(
            "a scan of {more} positions; more than {MOST_STEPS} are not supported"
        ))),
    }
}

/// One position of the first axis, without that axis.
fn position(tensor: &Tensor, at: usize, scope: &Scope<'_>) -> Result<Tensor> {
    let len = tensor.row_len();
    assemble(&[tensor], &tensor.shape()[1..], std::iter::once(Piece::of(at * len, len)), scope)
}

/// Keeps what a step made, which has the shape of what the others made.
fn keep(made: &mut Vec<Tensor>, tensor: &Tensor, steps: usize, scope: &Scope<'_>) -> Result<()> {
    match made.first() {
        None => {
            // All of them together have room, the ones to come included.
            scope.count(&[&[steps], tensor.shape()].concat(), tensor.dtype())?;
        }
        Some(first) if first.shape() != tensor.shape() => {
            let (first, other) = (first.shape(), tensor.shape());
            return Err(scope.invalid(format!("steps make shapes {first:?} and {other:?}")));
        }
        Some(_) => {}
    }
    made.push(tensor.clone());
    Ok(())
}

/// What all steps made, along a new first axis.
fn stacked(steps: &[Tensor], scope: &Scope<'_>) -> Result<Tensor> {
    let sources: Vec<&Tensor> = steps.iter().collect();
    let below = sources.first().map_or(&[][..], |first| first.shape());
    let len = below.iter().product();
    let pieces = (0..sources.len()).map(|source| Piece { source, start: 0, len });
    assemble(&sources, &[&[steps.len()], below].concat(), pieces, scope)
}
