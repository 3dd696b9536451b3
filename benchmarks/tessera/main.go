// Seals entries with Tessera's POSIX log, for `./tongshu bench audit` to stand beside.
//
//	tessera <folder> <entries> <bytes of an entry> <batch>
//
// As many callers as a batch holds add entries and wait until theirs are integrated; it prints the seconds that all took.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func run(folder string, count, size, batch int) (float64, error) {
	ctx := context.Background()
	secret, _, err := note.GenerateKey(rand.Reader, "example.org/tessera")
	if err != nil {
		return 0, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return 0, err
	}
	driver, err := posix.New(ctx, posix.Config{Path: folder})
	if err != nil {
		return 0, err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(time.Second).
		WithBatching(uint(batch), 200*time.Millisecond).
		WithPushback(uint(2 * batch))
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return 0, err
	}
	var wait sync.WaitGroup
	failed := make(chan error, batch)
	begun := time.Now()
	for worker := 0; worker < batch; worker++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for number := worker; number < count; number += batch {
				entry := make([]byte, size)
				binary.BigEndian.PutUint64(entry, uint64(number))
				if _, err := appender.Add(ctx, tessera.NewEntry(entry))(); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	wait.Wait()
	took := time.Since(begun).Seconds()
	select {
	case err := <-failed:
		return 0, err
	default:
	}
	return took, shutdown(ctx)
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: tessera FOLDER ENTRIES BYTES BATCH")
		os.Exit(2)
	}
	var numbers [3]int
	for at := range numbers {
		number, err := strconv.Atoi(os.Args[at+2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		numbers[at] = number
	}
	took, err := run(os.Args[1], numbers[0], numbers[1], numbers[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(took)
}
