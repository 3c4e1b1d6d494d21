"""Thresholds that timing measurements set: where one of two equal answers becomes the faster.

Each names its unit. ``python -m bench.calibrate NAME`` measures both sides of it on this machine
and prints where they cross; no answer depends on any. `_index` and `_cluster` read them as
attributes of this module, so that a calibration sets them in one place. What a kernel reads stays
beside the kernel, whose cache is sealed with its value.
"""

# Fits.

# A small table is fitted in one call up to so many values of the table times seeds. Beyond, the
# memo pays. A second thread of the stages pays earlier where balls overlap: 1,000 x 8 normal rows
# take 12.5 ms from 598 bins in one call, and 9.3 stage by stage on two threads; 8.9 and 6.5 of 16
# columns from 499. Where they hardly do, one call is faster: blobs of 4 columns 1.2 and 2.4 ms from
# 600 bins, of 8 columns 1.8 and 2.4 from 690, of 16 columns 0.83 and 2.4 from 809, where mlpack
# takes 1.9. On one thread 1,000 x 8 rows take 5.8 and 9.7 ms from 555 bins, 11.5 and 11.2 from 770.
MAX_SMALL_SEED_VALUES = 1 << 24

# A second thread gains nothing for so few values of a table, and where all processors are busy the
# threads wait for each other: beside two processes that do the same, 1,000 x 2 rows in 133 bins,
# stage by stage, take two threads 5.7 ms and one 1.6.
MAX_ONE_THREAD_VALUES = 4096

# The same of any fit without given seeds: values of the table times rows. Where others are idle, a
# second thread makes fits of 250 x 2 rows 0.9 to 1.05 times as fast, of 500 x 2 1.0 to 1.2, of 250
# x 8 1.0 to 1.3, of 1,000 x 2 and 500 x 8 0.9 to 1.6. Beside four busy processes fits of 100 x 2
# rows in basins of the Gaussian kernel take two threads 74 ms, one 12. Under TBB, which works off
# each loop that a thread has missed, the process then ended 25 s after its last line; with one 2 s.
MAX_ONE_THREAD_ROW_VALUES = 1 << 19

# The same of labels: values of rows times modes. Beside busy processors, 10 rows and 16 modes take
# two threads 7 to 27 ms, and one 0.3 to 0.6; 16,000 rows 0.23 and 0.31 ms where others are idle.
MAX_ONE_THREAD_LABEL_VALUES = 1 << 17

# Ascent.

# Bookkeeping is serial, and more trajectories share fewer places. With the memo and without, 20,000
# x 2 rows take two threads 24 and 29 ms, 60,000 rows 105 and 108, and one thread 165 and 193.
MAX_MEMO_TRAJECTORIES = 1 << 15
# When so many values are held, the memo is read and begun anew.
MAX_MEMO_VALUES = 1 << 23

# The choice of an index.

# Pairs of seeds and rows from which a product pays for its probe.
MIN_PRODUCT_PAIRS = 1 << 18
# Part of the rows that trees would measure, from which products settle all of them sooner. Times of
# fits, trees or projections over products, and this part: digits at the bandwidths 20, 25 and 35
# 0.3, 0.5 and 1.25 (0.31, 0.52, 0.89), blobs in 33 and 64 columns 0.6 (0.05), 1,000 narrow clusters
# 0.5 (0.01), normal rows in 64 columns 3.9 (1.0), 2,000 token embeddings 7.1 (0.99).
MIN_PRODUCT_OPEN_SHARE = 0.7
# The same for the k-th neighbour of each row. Trees over products: 5,000 rows of 20 blobs in 64
# columns, quantile 0.02, 0.45 (0.05), 4,000 in 33 columns 1.45 (0.43), digits 2.8 (0.61), normal
# rows in 64 columns 3.1 (1.0), 2,000 token embeddings 6.3 (0.91).
MIN_PRODUCT_OPEN_NEIGHBOUR_SHARE = 0.25
# Part of the rows that weigh about as much as the nearest, from which products give shifts sooner.
MIN_PRODUCT_GAUSSIAN_SHARE = 0.125
# Positions a feature from which they share an expansion. A shift costs as much either way at 0.7;
# fits of 4,000 token embeddings take as long with 1 as with 2.
MIN_EXPANDED_A_FEATURE = 2.0
# Error of a product in squared bandwidths up to which few rows are left open.
MAX_PRODUCT_ERROR = 0.01

# Seeding.

# From so many rows on, equal rows of whole numbers are looked for and counted as one.
MIN_COUNTED_ROWS = 8192
# From so many rows on, threads find the bins of a part each.
MIN_PARALLEL_BIN_ROWS = 1 << 17

# Modes.

# Endpoints that sweeps visit before those that are left go into a tree: so many times the
# endpoints, and at least so many. A visit takes 5 ns (2-d) to 30 ns (64-d); a tree takes 40 to
# 320 ns an endpoint, and a mode 190 to 790 ns. Whichever way is the better, having tried the other
# costs at most about as much again.
MAX_ENDPOINT_SWEEPS = 16
MIN_ENDPOINT_VISITS = 1 << 18
