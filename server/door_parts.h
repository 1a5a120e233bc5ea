/* What the door's two files share. */
#ifndef SERVER_DOOR_PARTS_H
#define SERVER_DOOR_PARTS_H

#include "protocol/frame.h"
#include "server/door.h"

/** Which connection spoke for a session last: it is told SUPERSEDED when another one resumes it. */
struct door_session {
    struct table_node node;             /**< in `sessions`, by session */
    struct list link;                   /**< in the connection's `sessions` */
    struct door_connection *connection; /**< borrowed */
};

/** Put it where the shell finds it. */
void door_mark_ready(struct door *d, struct door_connection *c);

/** Close it at once. */
void door_break(struct door *d, struct door_connection *c);

/** Close it when its output is sent; what it still sends is not read. */
void door_end(struct door *d, struct door_connection *c);

/** Append a frame to its output; too much unread output breaks it. */
void door_send(struct door *d, struct door_connection *c, const struct reply_frame *reply);

/** Answer that a request (0: none in particular) breaks a rule. \param status HF_EBADREQUEST,
 * HF_ETOOLARGE or HF_EVERSION. \param sentence static. */
void door_complain(struct door *d, struct door_connection *c, uint64_t request_id, uint16_t op,
                   int status, const char *sentence);

/** Tell it something that answers no request. */
void door_notify(struct door *d, struct door_connection *c, int status);

/* door_request.c */

/** One whole frame. \retval faults only. */
HF_MUST_USE
int door_take_frame(struct door *d, struct door_connection *c, struct slice frame,
                    struct replica_now now);

/** A RESUME succeeded on `c`: whoever spoke for the session before is told. */
void door_move_session(struct door *d, struct door_connection *c, uint64_t session);

/** Must this frame wait, because it frees or finishes, and there is no room for it? */
bool door_must_wait(const struct door *d, const struct door_connection *c, struct slice frame);

/** Forget it. */
void door_unbind(struct door *d, struct door_session *s);

#endif
