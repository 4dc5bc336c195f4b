/* Messages as librdkafka hands them over; see inbox.c. */
#ifndef STOCKPIPELINE_INBOX_H
#define STOCKPIPELINE_INBOX_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

/* librdkafka's rd_kafka_message_t, as its rdkafka.h has it. */
typedef struct {
    int error; /* 0: a record */
    void *topic;
    int32_t partition;
    char *value; /* NULL: none */
    size_t value_length;
    char *key; /* NULL: none */
    size_t key_length;
    int64_t offset;
    void *private;
} Record;

typedef struct Inbox Inbox;

typedef struct {
    PyObject_VAR_HEAD
    const Inbox *inbox; /* lives as long as there are records */
    Record *records[];
} Messages;

extern PyTypeObject InboxType, MessagesType;

#endif
