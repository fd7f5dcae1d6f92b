"""The network of an anchor-free point detector in PyTorch, slowly: what ours is compared with.

Notation: b clips, T rows, T_l points of level l, C classes. Tensors are [b, channels, T], masks
[b, T] with True where real, padding behind. Every function keeps the dtype of what it is given.

Source: ActionFormer (Zhang et al., ECCV 2022) for block and heads; TemporalMaxer (Tang et al.,
2023) for the pyramid of max-pools. Unlike ActionFormer's code the output of a LayerNorm is masked
before a convolution reads it, so that more padding changes nothing.
"""

import math

import torch
from torch import nn
from torch.nn import functional

HEADS, WINDOW = 4, 9


def masked(x, mask):
  """0 at padding."""
  return x * mask[:, None].to(x.dtype)


class ChannelNorm(nn.LayerNorm):
  """LayerNorm over the channels of [b, channels, T], eps 1e-5."""

  def forward(self, x):
    return super().forward(x.transpose(1, 2)).transpose(1, 2)


class ConvNorm(nn.Module):
  """Convolution 3, LayerNorm and ReLU: stem and heads consist of it."""

  def __init__(self, dim, width):
    super().__init__()
    self.conv = nn.Conv1d(dim, width, 3, padding=1)
    self.norm = ChannelNorm(width)

  def forward(self, x, mask):
    return masked(torch.relu(self.norm(masked(self.conv(x), mask))), mask)


def max_pool(x, mask):
  """Largest of the real among positions 2 i - 1, 2 i, 2 i + 1; real where 2 i is."""
  x = x.masked_fill(~mask[:, None], -math.inf)  # PyTorch pads with -inf, too
  x = functional.max_pool1d(x, kernel_size=3, stride=2, padding=1)
  mask = mask[:, ::2]
  return x.masked_fill(~mask[:, None], 0.0), mask


class ConvBlock(nn.Module):
  """x + Conv1(ReLU(Conv3(LN(x))))."""

  def __init__(self, width):
    super().__init__()
    self.norm = ChannelNorm(width)
    self.conv3 = nn.Conv1d(width, width, 3, padding=1)
    self.conv1 = nn.Conv1d(width, width, 1)

  def forward(self, x, mask):
    y = torch.relu(self.conv3(masked(self.norm(x), mask)))
    return x + masked(self.conv1(y), mask)


class LocalAttention(nn.Module):
  """Attention of each real position to the real ones at most 4 away."""

  def __init__(self, width):
    super().__init__()
    for name in ("query", "key", "value"):
      setattr(self, f"{name}_conv", nn.Conv1d(width, width, 3, padding=1, groups=width, bias=False))
      setattr(self, f"{name}_norm", ChannelNorm(width))
      setattr(self, f"{name}_linear", nn.Conv1d(width, width, 1))
    self.project = nn.Conv1d(width, width, 1)

  def forward(self, x, mask):
    q, k, v = (self.part(name, x, mask) for name in ("query", "key", "value"))
    index = torch.arange(x.shape[2])
    near = (index[:, None] - index[None, :]).abs() <= WINDOW // 2
    # Padding attends to itself, lest the softmax be 0 / 0; its output is masked.
    allowed = (near & mask[:, None, :]) | torch.eye(len(index), dtype=torch.bool)
    logits = torch.einsum("bhdi,bhdj->bhij", q, k) / math.sqrt(q.shape[2])
    weights = logits.masked_fill(~allowed[:, None], -math.inf).softmax(dim=-1)
    y = torch.einsum("bhij,bhdj->bhdi", weights, v).reshape(x.shape)
    return masked(self.project(y), mask)

  def part(self, name, x, mask):
    """Queries, keys or values [b, heads, width / heads, T]; head h has the h-th run of channels."""
    y = masked(getattr(self, f"{name}_conv")(x), mask)
    y = getattr(self, f"{name}_linear")(getattr(self, f"{name}_norm")(y))
    return y.reshape(len(x), HEADS, -1, x.shape[2])


class TransformerBlock(nn.Module):
  """x + attention(LN(x)), then x + MLP(LN(x)) with exact GELU."""

  def __init__(self, width):
    super().__init__()
    self.norm1, self.norm2 = ChannelNorm(width), ChannelNorm(width)
    self.attention = LocalAttention(width)
    self.expand, self.contract = nn.Conv1d(width, 4 * width, 1), nn.Conv1d(4 * width, width, 1)

  def forward(self, x, mask):
    x = x + self.attention(masked(self.norm1(x), mask), mask)
    return x + masked(self.contract(functional.gelu(self.expand(self.norm2(x)))), mask)


class Identity(nn.Module):
  """TemporalMaxer's block: none."""

  def forward(self, x, mask):
    return x


BLOCKS = {"conv": ConvBlock, "maxpool": lambda width: Identity(), "transformer": TransformerBlock}


class Network(nn.Module):
  """Stem, max-pools down to the first stride, one block a level, heads that all levels share.

  Parameters by name: `stem.{0,1}`, `class_tower.{0,1}`, `offset_tower.{0,1}` (each `conv`, `norm`);
  `blocks.{level}`; `class_out`, `offset_out`; `scale` [levels].
  """

  def __init__(self, dim, num_classes, width=64, strides=(2, 4, 8, 16, 32), context="conv"):
    super().__init__()
    self.halvings = strides[0].bit_length() - 1
    assert list(strides) == [2 ** (self.halvings + level) for level in range(len(strides))]
    self.stem = nn.ModuleList([ConvNorm(dim, width), ConvNorm(width, width)])
    self.blocks = nn.ModuleList([BLOCKS[context](width) for _ in strides])
    self.class_tower = nn.ModuleList([ConvNorm(width, width) for _ in range(2)])
    self.offset_tower = nn.ModuleList([ConvNorm(width, width) for _ in range(2)])
    self.class_out = nn.Conv1d(width, num_classes, 3, padding=1)
    self.offset_out = nn.Conv1d(width, 2, 3, padding=1)
    self.scale = nn.Parameter(torch.ones(len(strides)))
    for module in self.modules():
      if isinstance(module, nn.Conv1d) and module.bias is not None:
        nn.init.zeros_(module.bias)
    nn.init.constant_(self.class_out.bias, -math.log((1 - 0.01) / 0.01))

  def forward(self, x, mask):
    """[b, dim, T], [b, T] -> a list over levels of logits [b, T_l, C], offsets [b, T_l, 2], mask.

    Offsets (left, right) are in strides of the level.
    """
    return self.heads(self.pyramid(self.stemmed(x, mask), mask))

  def stemmed(self, x, mask):
    x = masked(x, mask)
    for layer in self.stem:
      x = layer(x, mask)
    return x

  def pyramid(self, x, mask):
    for _ in range(self.halvings):
      x, mask = max_pool(x, mask)
    levels = []
    for level, block in enumerate(self.blocks):
      if level:
        x, mask = max_pool(x, mask)
      x = block(x, mask)
      levels.append((x, mask))
    return levels

  def heads(self, levels):
    outputs = []
    for (x, mask), scale in zip(levels, self.scale, strict=True):
      y = z = x
      for layer in self.class_tower:
        y = layer(y, mask)
      for layer in self.offset_tower:
        z = layer(z, mask)
      logits = masked(self.class_out(y), mask)
      offsets = masked(torch.relu(scale * self.offset_out(z)), mask)
      outputs.append((logits.transpose(1, 2), offsets.transpose(1, 2), mask))
    return outputs
