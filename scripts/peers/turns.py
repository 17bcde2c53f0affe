"""What is measured turn by turn: other programs, and models in ONNX Runtime.

Figures are µs of processor time a call, one thread: other programs on the machine disturb that
least. Import this before numpy: it keeps numpy to one thread.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")

import statistics
import subprocess
import time

ROUNDS, MILLISECONDS = 7, 300


class Program:
    """A program that waits for lines `BATCH MILLISECONDS`, after a first word perhaps, and answers each with
    how many calls it made."""

    def __init__(self, *command, word=""):
        self.word = f"{word} " if word else ""
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def microseconds(self, batch, milliseconds=MILLISECONDS):
        # Linux' number of another process' processor clock: clock_getcpuclockid(3).
        clock = (~self.process.pid << 3) | 2
        began = time.clock_gettime_ns(clock)
        self.process.stdin.write(f"{self.word}{batch} {milliseconds}\n")
        self.process.stdin.flush()
        calls = self.process.stdout.readline()
        assert calls, f"{self.process.args[0]} ended with {self.process.wait()}"
        return (time.clock_gettime_ns(clock) - began) / int(calls) / 1e3


class Runtime:
    """A model in ONNX Runtime by its Python binding, on views of the same rows."""

    def __init__(self, model, rows):
        import onnxruntime as ort  # Not every bench has it.

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = ort.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.rows, self.name = rows, self.session.get_inputs()[0].name

    def answers(self):
        return self.session.run(None, {self.name: self.rows})[-1]

    def microseconds(self, batch, milliseconds=MILLISECONDS):
        run, cuts = self.session.run, range(0, len(self.rows) - batch + 1, batch)
        feeds = [{self.name: self.rows[at:at + batch]} for at in cuts]
        calls, limit = 0, time.perf_counter_ns() + milliseconds * 1_000_000
        began = time.process_time_ns()
        while time.perf_counter_ns() < limit:
            for at in range(calls, calls + 16):
                run(None, feeds[at % len(feeds)])
            calls += 16
        return (time.process_time_ns() - began) / calls / 1e3


def rounds(measured, batch, count=ROUNDS, milliseconds=MILLISECONDS):
    """The figures of each, all measured once in every round."""
    figures = ([one.microseconds(batch, milliseconds) for one in measured] for _ in range(count))
    return [list(column) for column in zip(*figures)]


def ratio(ours, theirs):
    """How many times faster ours is, by the median round: whatever slows the machine slows both."""
    return statistics.median(other / own for own, other in zip(ours, theirs))


def spread(times):
    """The median over the best."""
    return statistics.median(times) / min(times)
