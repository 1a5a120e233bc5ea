/* An intrusive, circular, doubly linked list. The head is a struct list of its own; an element
 * embeds one and is found again with HF_CONTAINER_OF. Nothing is allocated, nothing fails. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct list {
    struct list *next; /**< towards the tail; a head's is the first element */
    struct list *prev; /**< towards the head */
};

/** Make `head` an empty list, or an element the list of itself. */
static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

/** True if the head stands alone. */
static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

/** Put `item`, which is in no list, between two neighbours. */
static inline void list_insert_between(struct list *item, struct list *prev, struct list *next)
{
    HF_ASSERT(prev != NULL && next != NULL); /* the head was initialized */
    item->prev = prev;
    item->next = next;
    prev->next = item;
    next->prev = item;
}

/** Put `item`, which is in no list, at the tail. */
static inline void list_push_back(struct list *head, struct list *item)
{
    list_insert_between(item, head->prev, head);
}

/** Put `item`, which is in no list, at the head. */
static inline void list_push_front(struct list *head, struct list *item)
{
    list_insert_between(item, head, head->next);
}

/** Take an element out of the list it is in; it becomes a list of itself, so that a second
 * removal is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#define LIST_FOR(item, head) \
    for (struct list *item = (head)->next; item != (head); item = item->next)

/** As LIST_FOR, and `item` may be removed in the body. */
#define LIST_FOR_SAFE(item, head)                                                     \
    for (struct list *item = (head)->next, *item##_next = item->next; item != (head); \
         item = item##_next, item##_next = item->next)

#endif
