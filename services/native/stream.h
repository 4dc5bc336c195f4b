/* TA-Lib's streams, called without Python in between; see stream.c. */
#ifndef STOCKPIPELINE_STREAM_H
#define STOCKPIPELINE_STREAM_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define MAX_INPUTS 4
#define MAX_OUTPUTS 4

typedef struct {
    PyObject_HEAD
    void *stream;
    void *update, *peek, *value, *close; /* TA_..._Update and so on */
    int inputs, outputs;
    unsigned integers; /* bit i: output i is a C int */
} Stream;

extern PyTypeObject StreamType;

/* What update would give for a closed bar, as doubles. Returns TA-Lib's code, 0 for success. */
int stream_peek(const Stream *stream, const double *inputs, double *outputs);

#endif
