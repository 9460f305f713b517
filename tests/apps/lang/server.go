// SPDX-License-Identifier: Apache-2.0

// Go: net/http, goroutines, a nil dereference recovered, a busy loop that is preempted, garbage.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"
)

func work() string {
	var results [4]chan int
	for seed := range results {
		results[seed] = make(chan int)
		go func(a int, done chan int) {
			for i := 0; i < 100000; i++ {
				a = (a*31 + i) % 1000003
			}
			done <- a
		}(seed, results[seed])
	}
	return fmt.Sprintln(<-results[0], <-results[1], <-results[2], <-results[3])
}

func child() string {
	out, err := exec.Command("/bin/echo", "through a child").Output()
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func nilRecovered() (said string) {
	defer func() { said = fmt.Sprint(recover()) }()
	var p *struct{ x int }
	return fmt.Sprint(p.x)
}

// A loop without a call: only a signal gets the CPU away from it.
func preempted() bool {
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	var stop int32
	go func() { atomic.StoreInt32(&stop, 1) }()
	for atomic.LoadInt32(&stop) == 0 {
	}
	return true
}

func pingPong(n int) int {
	a, b := make(chan int), make(chan int)
	go func() {
		for x := range a {
			b <- x + 1
		}
		close(b)
	}()
	x := 0
	for i := 0; i < n; i++ {
		a <- x
		x = <-b
	}
	close(a)
	return x
}

func garbage() bool {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var keep [][]byte
	for i := 0; i < 500; i++ {
		keep = append(keep[:i%4], make([]byte, 100000))
	}
	runtime.ReadMemStats(&after)
	return len(keep) > 0 && after.NumGC > before.NumGC
}

func own() string {
	timeout := time.After(20 * time.Millisecond)
	many := make(chan int)
	for i := 0; i < 1000; i++ {
		go func(i int) { many <- i }(i)
	}
	sum := 0
	for i := 0; i < 1000; i++ {
		sum += <-many
	}
	<-timeout
	return fmt.Sprintln(nilRecovered(), preempted(), pingPong(1000), garbage(), sum)
}

func main() {
	answers := map[string]func() string{"/work": work, "/child": child, "/own": own,
		"/quit": func() string { time.AfterFunc(100*time.Millisecond, func() { os.Exit(3) }); return "bye\n" }}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if f, ok := answers[r.URL.Path]; ok {
			fmt.Fprint(w, f())
		} else {
			fmt.Fprintln(w, "hello")
		}
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
