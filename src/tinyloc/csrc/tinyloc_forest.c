/* Trees that vote. The widths differ, the walk does not, so one body makes each variant.

   below is the number of inner nodes in the part of the tree that is left to walk. Its first node is the one at
   hand and its leaves begin at leaf, so no node needs a pointer: the left side follows the node, the right side
   follows the left one. Where below is 0 the part is one leaf. */
#include "tinyloc_kernels.h"

#define TINYLOC_FOREST(widths, signal_t)                                                                       \
    void tinyloc_forest_##widths(TINYLOC_FLASH tinyloc_trees_##widths *op, const signal_t *x, int16_t *y)      \
    {                                                                                                          \
        uint32_t first = 0; /* the tree's first inner node; before it, one leaf more for each tree */          \
        for (uint16_t k = 0; k < op->rooms; k++) {                                                             \
            y[k] = 0;                                                                                          \
        }                                                                                                      \
        for (uint16_t tree = 0; tree < op->trees; tree++) {                                                    \
            uint32_t node = first, leaf = first + tree, below = op->inner[tree];                               \
            first += below;                                                                                    \
            while (below != 0) {                                                                               \
                const uint32_t left = op->left[node];                                                          \
                if (x[op->feature[node]] <= op->threshold[node]) {                                             \
                    below = left;                                                                              \
                } else {                                                                                       \
                    below -= left + 1;                                                                         \
                    leaf += left + 1;                                                                          \
                    node += left;                                                                              \
                }                                                                                              \
                node++;                                                                                        \
            }                                                                                                  \
            y[op->room[leaf]]++;                                                                               \
        }                                                                                                      \
    }

TINYLOC_FOREST(8_8, int8_t)
TINYLOC_FOREST(8_16, int8_t)
TINYLOC_FOREST(16_8, int16_t)
TINYLOC_FOREST(16_16, int16_t)
