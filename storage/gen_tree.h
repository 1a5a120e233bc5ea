/* The generation's order: a B+tree over its rows. */
#ifndef STORAGE_GEN_TREE_H
#define STORAGE_GEN_TREE_H

#include "storage/generation.h"

/** Insert a row, in any state, whose key the tree lacks. \retval HF_ENOMEM the order is as it was.
 */
HF_MUST_USE
int gen_tree_insert(struct generation *g, struct gen_row *row);

/** Take a row out; its memory stays, since branches may use it as a lower bound. Cannot fail. */
void gen_tree_remove(struct generation *g, struct gen_row *row);

#endif
