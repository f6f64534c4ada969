package main

import "io"

func openShell(*stage, *story, programs) {}

func request([]string, io.Writer, io.Writer) int { return 0 }
