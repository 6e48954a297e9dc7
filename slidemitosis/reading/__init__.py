"""Reading: from a slide and its candidates to patches in shared memory. Nothing here imports torch.

- `prepare`: everything that is settled before a pixel is read; `frames`: resolution and origin; `windows`:
  what is read for each patch, and in which order.
- `pool`, `worker`, `slots`, `batches`: reader processes, their shared memory, and the batches that come out.
- `processes`: start, hear, bury and end child processes; the executors of cohorts use it too.
- `stacks`: patches that are cut already, as the pages of a TIFF.

Uses candidates, slides, prediction and the cards of models.
"""
