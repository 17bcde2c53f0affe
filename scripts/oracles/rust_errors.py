"""The first words of each explanation that the Rust compiler gives of its errors, as a table to search in.

Writes examples/data/rust_errors.csv. Made with rustc 1.95.0: python3 scripts/oracles/rust_errors.py
"""

import csv
import re
import subprocess
from pathlib import Path

OUT = Path(__file__).parents[2] / "examples/data/rust_errors.csv"


def explanation(code):
    asked = subprocess.run(["rustc", "--explain", code], capture_output=True, text=True)
    return asked.stdout if asked.returncode == 0 else ""


def first_paragraph(text):
    without_code = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for paragraph in without_code.split("\n\n"):
        words = " ".join(paragraph.split())
        # A note on the compiler's own history, or what announced an example.
        if words and not words.startswith(("####", "Erroneous code")):
            return words
    return ""


def main():
    codes = [f"E{number:04}" for number in range(1, 1000)]
    rows = [(code, first_paragraph(explanation(code))) for code in codes]
    rows = [(code, text) for code, text in rows if text]
    with OUT.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["code", "text"])
        writer.writerows(rows)
    print(len(rows), "explanations")


if __name__ == "__main__":
    main()
