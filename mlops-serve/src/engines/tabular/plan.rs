//! A graph, lowered once: kernels in the order in which they run, values by index.

use super::{
    budget::{Budget, bytes},
    onnx::{Label, Node, Port, check_axes},
    ops::{Build, Inputs, Kernel, Scope, operator},
};
use crate::engines::Stop;
use mlops_core::{
    Error, Result,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use smallvec::SmallVec;
use std::{borrow::Cow, collections::HashMap, sync::Arc};

/// A model, ready to run any number of times.
#[derive(Debug)]
pub(super) struct Plan {
    /// Name and slot of each input.
    inputs: Vec<(Arc<str>, usize)>,
    outputs: Vec<Output>,
    constants: Vec<Tensor>,
    calls: Vec<Call>,
    slots: usize,
    /// Whether there is one call, and what the graph gives is what it makes, in that order.
    is_one_call: bool,
}

/// An output of the graph.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) name: Arc<str>,
    pub(super) dtype: DType,
    /// Names of the positions of its last axis, if its operator gives them.
    pub(super) columns: Vec<Arc<str>>,
    from: Operand,
}

/// Where a value is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    /// An optional input that is left out.
    Absent,
    Constant(usize),
    Slot(usize),
}

/// One kernel at its place in the graph.
#[derive(Debug)]
struct Call {
    label: Label,
    kernel: Box<dyn Kernel>,
    inputs: Vec<Operand>,
    /// Slots of the outputs; `None` for one that nobody named.
    outputs: Vec<Option<usize>>,
    /// Slots that no later call reads.
    frees: Vec<usize>,
}

impl Plan {
    /// Lowers every node.
    ///
    /// # Behavior
    /// - an operator, attribute or element type that is not supported is `Unsupported` and named
    /// - a node whose inputs or attributes contradict each other is `InvalidInput` and named
    pub(super) fn new(
        constants: Vec<(String, Tensor)>,
        nodes: Vec<Node>,
        inputs: &[TensorSpec],
        outputs: &[Port],
    ) -> Result<Self> {
        let mut lowering = Lowering::default();
        for (name, tensor) in constants {
            lowering.constant(name, tensor);
        }
        let mut input = |spec: &TensorSpec| {
            (Arc::clone(&spec.name), lowering.slot(spec.name.to_string(), spec.dtype))
        };
        let inputs = inputs.iter().map(&mut input).collect();
        for node in nodes {
            lowering.node(node)?;
        }
        let outputs = outputs.iter().map(|port| lowering.output(&port.name));
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        let Lowering { constants, mut calls, slots, .. } = lowering;
        free_after_last_use(&mut calls, &outputs, slots);
        let made = calls.iter().flat_map(|call| &call.outputs);
        let given = outputs.iter().map(|output| output.from);
        let is_one_call =
            calls.len() == 1 && made.map(|slot| slot.map(Operand::Slot)).eq(given.map(Some));
        Ok(Self { inputs, outputs, constants, calls, slots, is_one_call })
    }

    /// The outputs of the graph, in its order.
    pub(super) fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// How many kernels run when all of it runs.
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Memory that constants and kernels take.
    pub(super) fn weights_bytes(&self) -> u64 {
        let constants = self.constants.iter().map(bytes).sum::<u64>();
        let kernels = self.calls.iter().map(|call| call.kernel.weights_bytes() as u64);
        constants + kernels.sum::<u64>()
    }

    /// Computes the outputs of these names, or all; only the calls that they need.
    pub(super) fn run(
        &self,
        inputs: &Tensors,
        wanted: Option<&[Arc<str>]>,
        stop: &Stop,
        budget: Budget,
    ) -> Result<Tensors> {
        self.run_within(inputs, wanted, stop, budget).map(|(outputs, _)| outputs)
    }

    /// As [`Plan::run`], and says what is left of the budget.
    pub(super) fn run_within(
        &self,
        inputs: &Tensors,
        wanted: Option<&[Arc<str>]>,
        stop: &Stop,
        budget: Budget,
    ) -> Result<(Tensors, Budget)> {
        if let (None, Some(call)) = (wanted, self.only_call()) {
            return self.run_only(call, inputs, stop, budget);
        }
        let wanted = wanted.map(|names| self.wanted(names)).transpose()?;
        let needed = wanted.as_ref().map(|outputs| self.needed(outputs));
        let mut values = Values::new(self.slots, budget);
        for (name, slot) in &self.inputs {
            values.put(*slot, Cow::Borrowed(inputs.require(name)?))?;
        }
        for (at, call) in self.calls.iter().enumerate() {
            if needed.as_ref().is_none_or(|needed| needed[at]) {
                stop.check()?;
                self.call(call, &mut values, stop)?;
            }
        }
        let left = values.budget;
        let given = match wanted {
            None => self.given(self.outputs.iter(), values),
            Some(outputs) => self.given(outputs.into_iter(), values),
        };
        Ok((given?, left))
    }

    /// The only call, if what it makes is what the graph gives.
    fn only_call(&self) -> Option<&Call> {
        self.calls.first().filter(|_| self.is_one_call)
    }

    /// As [`Plan::run_within`] for the only call: what it makes is moved once, into the answer. (A row of a
    /// forest took an eighth longer by way of slots.)
    fn run_only(
        &self,
        call: &Call,
        inputs: &Tensors,
        stop: &Stop,
        mut budget: Budget,
    ) -> Result<(Tensors, Budget)> {
        stop.check()?;
        let mut slots = SmallVec::<[Option<&Tensor>; 4]>::from_elem(None, self.slots);
        for (name, slot) in &self.inputs {
            let tensor = inputs.require(name)?;
            budget.take(tensor)?;
            slots[*slot] = Some(tensor);
        }
        let operands = call.inputs.iter().map(|&operand| match operand {
            Operand::Absent => None,
            Operand::Constant(at) => self.constants.get(at),
            Operand::Slot(at) => slots.get(at).copied().flatten(),
        });
        let operands: SmallVec<[Option<&Tensor>; 4]> = operands.collect();
        let scope = Scope::new(&call.label, stop, budget);
        let mut given = Tensors::with_capacity(self.outputs.len());
        let made = call.kernel.run(&Inputs::new(&operands), &scope)?;
        for (output, tensor) in self.outputs.iter().zip(made) {
            check_axes(tensor.shape().len(), || format!("an output of {}", call.label))?;
            budget.take(&tensor)?;
            given.push(Arc::clone(&output.name), tensor)?;
        }
        if given.len() < self.outputs.len() {
            return Err(Error::internal(format!("{} made too few outputs", call.label)));
        }
        Ok((given, budget))
    }

    fn call<'a>(&'a self, call: &Call, values: &mut Values<'a>, stop: &Stop) -> Result<()> {
        let scope = Scope::new(&call.label, stop, values.budget);
        let outputs = {
            let inputs = call.inputs.iter().map(|&operand| self.value(operand, values));
            // Most have few, for which no memory is taken.
            let inputs: SmallVec<[Option<&Tensor>; 4]> = inputs.collect();
            call.kernel.run(&Inputs::new(&inputs), &scope)?
        };
        for (slot, tensor) in call.outputs.iter().zip(outputs) {
            check_axes(tensor.shape().len(), || format!("an output of {}", call.label))?;
            if let Some(slot) = slot {
                values.put(*slot, Cow::Owned(tensor))?;
            }
        }
        for &slot in &call.frees {
            values.free(slot);
        }
        Ok(())
    }

    /// These outputs, when every call that they need has been made.
    fn given<'a>(
        &self,
        mut outputs: impl Iterator<Item = &'a Output> + Clone,
        mut values: Values<'_>,
    ) -> Result<Tensors> {
        let mut given = Tensors::with_capacity(self.outputs.len());
        while let Some(output) = outputs.next() {
            let again = outputs.clone().any(|other| other.from == output.from);
            let value = match output.from {
                Operand::Slot(at) if !again => values.slots.get_mut(at).and_then(Option::take),
                from => self.value(from, &values).map(Cow::Borrowed),
            };
            let missing = || Error::internal(format!("output {:?} was not made", output.name));
            given.push(Arc::clone(&output.name), value.ok_or_else(missing)?.into_owned())?;
        }
        Ok(given)
    }

    fn value<'a>(&'a self, operand: Operand, values: &'a Values<'_>) -> Option<&'a Tensor> {
        match operand {
            Operand::Absent => None,
            Operand::Constant(at) => self.constants.get(at),
            Operand::Slot(at) => values.slots.get(at)?.as_deref(),
        }
    }

    fn wanted(&self, names: &[Arc<str>]) -> Result<Vec<&Output>> {
        let find = |name: &Arc<str>| {
            let output = self.outputs.iter().find(|output| output.name == *name);
            output.ok_or_else(|| Error::invalid(format!("the model has no output {name:?}")))
        };
        names.iter().map(find).collect()
    }

    /// Which calls these outputs need, directly or through others.
    fn needed(&self, outputs: &[&Output]) -> Vec<bool> {
        let mut slots = vec![false; self.slots];
        let mark = |slots: &mut Vec<bool>, operand: Operand| {
            if let Operand::Slot(slot) = operand {
                slots[slot] = true;
            }
        };
        for output in outputs {
            mark(&mut slots, output.from);
        }
        let mut needed = vec![false; self.calls.len()];
        for (at, call) in self.calls.iter().enumerate().rev() {
            needed[at] = call.outputs.iter().flatten().any(|&slot| slots[slot]);
            if needed[at] {
                for &operand in &call.inputs {
                    mark(&mut slots, operand);
                }
            }
        }
        needed
    }
}

/// The values of one run: what was given to it, and what it made.
#[derive(Debug)]
struct Values<'a> {
    slots: Vec<Option<Cow<'a, Tensor>>>,
    budget: Budget,
}

impl<'a> Values<'a> {
    fn new(slots: usize, budget: Budget) -> Self {
        Self { slots: std::iter::repeat_with(|| None).take(slots).collect(), budget }
    }

    fn put(&mut self, slot: usize, tensor: Cow<'a, Tensor>) -> Result<()> {
        self.budget.take(&tensor)?;
        self.slots[slot] = Some(tensor);
        Ok(())
    }

    fn free(&mut self, slot: usize) {
        if let Some(tensor) = self.slots[slot].take() {
            self.budget.give_back(&tensor);
        }
    }
}

/// A graph on its way to a plan.
#[derive(Debug, Default)]
struct Lowering {
    /// Each value by name: where it is and its element type.
    values: HashMap<String, (Operand, DType)>,
    constants: Vec<Tensor>,
    calls: Vec<Call>,
    slots: usize,
    /// Names of columns that operators gave, by slot.
    columns: HashMap<usize, Vec<Arc<str>>>,
}

impl Lowering {
    fn constant(&mut self, name: String, tensor: Tensor) {
        self.values.insert(name, (Operand::Constant(self.constants.len()), tensor.dtype()));
        self.constants.push(tensor);
    }

    fn slot(&mut self, name: String, dtype: DType) -> usize {
        let slot = self.slots;
        self.slots += 1;
        self.values.insert(name, (Operand::Slot(slot), dtype));
        slot
    }

    fn node(&mut self, mut node: Node) -> Result<()> {
        let Some(operator) = operator(&node.label.domain, &node.label.operator) else {
            return Err(Error::unsupported(format!("{} is not supported", node.label)));
        };
        let find = |name: &String| match self.values.get(name) {
            Some((operand, dtype)) => (*operand, Some(*dtype)),
            // Only an empty name is unknown here: the graph was checked.
            None => (Operand::Absent, None),
        };
        let (inputs, types): (Vec<Operand>, Vec<Option<DType>>) =
            node.inputs.iter().map(find).unzip();
        let mut build = Build {
            label: &node.label,
            version: node.version,
            attributes: &mut node.attributes,
            inputs: &types,
            outputs: node.outputs.len(),
        };
        let lowered = operator.build(&mut build)?;
        if node.outputs.len() > lowered.outputs.len() {
            let (given, most) = (node.outputs.len(), lowered.outputs.len());
            let why = format!("{}: {given} outputs where {most} belong", node.label);
            return Err(Error::invalid(why));
        }
        if let ([input], [name]) = (&inputs[..], &node.outputs[..])
            && lowered.kernel.gives_input()
        {
            // Another name for the same value, and nothing to run.
            self.values.insert(name.clone(), (*input, lowered.outputs[0]));
            return Ok(());
        }
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for (name, dtype) in node.outputs.into_iter().zip(lowered.outputs) {
            outputs.push(if name.is_empty() { None } else { Some(self.slot(name, dtype)) });
        }
        if let ([Some(slot)], false) = (&outputs[..], lowered.columns.is_empty()) {
            self.columns.insert(*slot, lowered.columns);
        }
        let (label, kernel) = (node.label, lowered.kernel);
        self.calls.push(Call { label, kernel, inputs, outputs, frees: Vec::new() });
        Ok(())
    }

    fn output(&self, name: &Arc<str>) -> Result<Output> {
        let value = self.values.get(name.as_ref());
        let missing = || Error::invalid(format!("output {name:?} is never made"));
        let &(from, dtype) = value.ok_or_else(missing)?;
        let columns = match from {
            Operand::Slot(slot) => self.columns.get(&slot).cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        Ok(Output { name: Arc::clone(name), dtype, columns, from })
    }
}

/// Lets each value go after the last call that reads it, unless it is an output.
fn free_after_last_use(calls: &mut [Call], outputs: &[Output], slots: usize) {
    let mut kept = vec![false; slots];
    for output in outputs {
        if let Operand::Slot(slot) = output.from {
            kept[slot] = true;
        }
    }
    for call in calls.iter_mut().rev() {
        for operand in &call.inputs {
            if let Operand::Slot(slot) = *operand
                && !std::mem::replace(&mut kept[slot], true)
            {
                call.frees.push(slot);
            }
        }
        // What nobody reads goes at once.
        for &slot in call.outputs.iter().flatten() {
            if !std::mem::replace(&mut kept[slot], true) {
                call.frees.push(slot);
            }
        }
    }
}
