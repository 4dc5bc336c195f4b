/* Conditions of rules as small programs; see program.c. */
#ifndef STOCKPIPELINE_PROGRAM_H
#define STOCKPIPELINE_PROGRAM_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef struct {
    int operation;
    int argument;
    double constant;
} Instruction;

typedef struct {
    PyObject_HEAD
    Instruction *code;
    Py_ssize_t length;
} Program;

extern PyTypeObject ProgramType;

/* The value of a term, or of a condition (1 or 0); NaN where it divides by zero. Where what it reads is not known
   (NaN, infinite) the answer means nothing.
   now: the vector of the forming bar; past: those of closed bars, newest first, one after the other. */
double program_value(const Program *program, const double *now, const double *past);

#endif
