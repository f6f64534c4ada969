// Command plot draws what `make bench-table` prints: plot FILE.txt FILE.svg.
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// columns are the durations of a row, and the titles of their plots; those without a title are not plotted.
var columns = []string{"start until the table is complete", "", "reload of one weight", "stop"}

// programs have a line each.
var programs = []string{"lvs-director", "ipvsadm", "keepalived"}

// row has a number of real servers, a program, and four durations, such as "1.234 s" or "-".
var row = regexp.MustCompile(`^\s*(\d+) \| (\S+)\s*\| (.*)$`)

// figures are the points of each program, by column.
type figures map[string][]plotter.XYs

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: plot FILE.txt FILE.svg")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer file.Close()
	all, err := read(bufio.NewScanner(file))
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return write(all, to)
}

// read returns the figures of the rows; other lines are left out.
func read(lines *bufio.Scanner) (figures, error) {
	all := figures{}
	for lines.Scan() {
		m := row.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		servers, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return nil, err
		}
		if all[m[2]] == nil {
			all[m[2]] = make([]plotter.XYs, len(columns))
		}
		for n, text := range strings.Split(m[3], "|") {
			seconds, is := strings.CutSuffix(strings.TrimSpace(text), " s")
			if n >= len(columns) || !is {
				continue
			}
			value, err := strconv.ParseFloat(seconds, 64)
			if err != nil {
				return nil, err
			}
			all[m[2]][n] = append(all[m[2]][n], plotter.XY{X: servers, Y: value})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no rows of figures: run make bench-table")
	}
	return all, lines.Err()
}

// write draws one plot beside the other, with linear axes.
func write(all figures, to string) error {
	var plots []*plot.Plot
	for n, title := range columns {
		if title == "" {
			continue
		}
		p := plot.New()
		p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, "real servers", "seconds"
		p.Add(plotter.NewGrid())
		p.Legend.Top, p.Legend.Left = true, true
		for color, program := range programs {
			if all[program] == nil || len(all[program][n]) == 0 {
				continue
			}
			line, points, err := plotter.NewLinePoints(all[program][n])
			if err != nil {
				return err
			}
			line.Color, points.Color, points.Shape = plotutil.Color(color), plotutil.Color(color), plotutil.Shape(color)
			p.Add(line, points)
			p.Legend.Add(program, line, points)
		}
		plots = append(plots, p)
	}
	canvas := vgsvg.New(vg.Length(len(plots))*10*vg.Centimeter, 8*vg.Centimeter)
	tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: 4 * vg.Millimeter, PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 2 * vg.Millimeter, PadRight: 6 * vg.Millimeter}
	for n, area := range plot.Align([][]*plot.Plot{plots}, tiles, draw.New(canvas))[0] {
		plots[n].Draw(area)
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(file); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}
