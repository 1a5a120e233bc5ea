/* The generation's order: a B+tree over its rows that only grows. */
#ifndef STORAGE_GEN_TREE_H
#define STORAGE_GEN_TREE_H

#include "storage/generation.h"

/** Insert a row whose key the tree lacks. \retval HF_ENOMEM the order is as it was. */
HF_MUST_USE
int gen_tree_insert(struct generation *g, struct gen_row *row);

#endif
