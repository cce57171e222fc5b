"""The helper package of *Week 5 – Neural Networks* (Days 29–35).

The notebooks teach and this package supports them: the code that a day is about is written
out in that day's notebook first, and imported from here afterwards.

A module imports only modules above it in this list, and `import nnweek` loads none of them.
The last column names what a module needs.

The library, which the notebooks import:

`toy`          2-D data sets                                            numpy
`scratch`      the two-layer network in NumPy                           numpy
`gradcheck`    checking gradients with finite differences               numpy
`statistics`   confidence intervals                                     numpy, scipy
`optimizers`   update steps of SGD, momentum, Adam and AdamW            numpy
`files`        atomic writes                                            –
`runtime`      seeding, the device, the data folder                     numpy
`results`      the shared results file                                  –
`notebook`     claims of the text, progress bars, interrupts            tqdm
`loaders`      splitting, normalising and batching images               torch
`mnist`        finding, verifying and loading MNIST or its stand-in     torch
`models`       the network that the week trains                         torch
`tracking`     TensorBoard: writing and reading logs                    tensorboard
`checkpoints`  saving and resuming a training run                       torch
`training`     training and evaluating, with a history                  torch
`experiments`  training runs, sweeps, many seeds at once                torch
`distributed`  the baseline, trained by several processes               torch
`plots`        figures that more than one notebook draws                matplotlib

The checks of the learner's answers, and the commands `nnweek …` or `python -m nnweek …`:

`checks`       exercises, and verdicts that name the mistake            numpy
`commands`     start, report, grade, bench, catalogue                   –
"""

__version__ = "0.1.0"
