// Checks an audit log over HTTP with the libraries that its formats come from, and nothing of ours.
//
//	verifier <prefix> <key> <token> [<older checkpoint>]
//
// It opens the checkpoint, rebuilds the root from tiles, proves and checks the inclusion of every entry of the first and
// last bundle, and that the tree grew from the older checkpoint, once with sumdb/tlog and once with transparency-dev.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

type site struct{ prefix, token string }

func (s site) get(path string) ([]byte, error) {
	request, err := http.NewRequest("GET", s.prefix+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, answer.Status, content)
	}
	return content, err
}

// pathOf is tlog's path of a tile without its height, which C2SP fixes.
func pathOf(t tlog.Tile) string {
	path := strings.Replace(t.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
	return strings.Replace(path, "tile/data/", "tile/entries/", 1)
}

func (s site) Height() int { return height }

func (s site) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(tiles))
	for at, tile := range tiles {
		content, err := s.get(pathOf(tile))
		if err != nil {
			return nil, err
		}
		found[at] = content
	}
	return found, nil
}

func (s site) SaveTiles([]tlog.Tile, [][]byte) {}

func (s site) bundle(first, size int64) ([][]byte, error) {
	width := min(int64(1)<<height, size-first)
	content, err := s.get(pathOf(tlog.Tile{H: height, L: -1, N: first >> height, W: int(width)}))
	if err != nil {
		return nil, err
	}
	var entries [][]byte
	for len(content) > 0 {
		length := int(binary.BigEndian.Uint16(content))
		entries = append(entries, content[2:2+length])
		content = content[2+length:]
	}
	if int64(len(entries)) != width {
		return nil, fmt.Errorf("the bundle of entry %d holds %d entries, not %d", first, len(entries), width)
	}
	return entries, nil
}

func opened(text []byte, verifier note.Verifier) (*log.Checkpoint, error) {
	checkpoint, _, _, err := log.ParseCheckpoint(text, verifier.Name(), verifier)
	return checkpoint, err
}

func plain[T ~[32]byte](hashes []T) [][]byte {
	found := make([][]byte, len(hashes))
	for at := range hashes {
		found[at] = append([]byte(nil), hashes[at][:]...)
	}
	return found
}

func run(arguments []string) error {
	s := site{arguments[0], arguments[2]}
	verifier, err := note.NewVerifier(arguments[1])
	if err != nil {
		return err
	}
	text, err := s.get("checkpoint")
	if err != nil {
		return err
	}
	checkpoint, err := opened(text, verifier)
	if err != nil {
		return err
	}
	size := int64(checkpoint.Size)
	tree := tlog.Tree{N: size, Hash: tlog.Hash(checkpoint.Hash)}
	reader := tlog.TileHashReader(tree, s)
	if root, err := tlog.TreeHash(size, reader); err != nil || root != tree.Hash {
		return fmt.Errorf("the tiles have root %v, the checkpoint %v (%v)", root, tree.Hash, err)
	}
	checked := 0
	for _, first := range []int64{0, (size - 1) >> height << height} {
		entries, err := s.bundle(first, size)
		if err != nil {
			return err
		}
		for at, entry := range entries {
			number := first + int64(at)
			path, err := tlog.ProveRecord(size, number, reader)
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(path, size, tree.Hash, number, tlog.RecordHash(entry)); err != nil {
				return fmt.Errorf("entry %d: %w", number, err)
			}
			leaf := rfc6962.DefaultHasher.HashLeaf(entry)
			err = proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(number), uint64(size), leaf, plain(path), checkpoint.Hash)
			if err != nil {
				return fmt.Errorf("entry %d: %w", number, err)
			}
			checked++
		}
	}
	fmt.Printf("%d entries of %d are in the tree\n", checked, size)
	if len(arguments) < 4 {
		return nil
	}
	old, err := os.ReadFile(arguments[3])
	if err != nil {
		return err
	}
	older, err := opened(old, verifier)
	if err != nil {
		return err
	}
	path, err := tlog.ProveTree(size, int64(older.Size), reader)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(path, size, tree.Hash, int64(older.Size), tlog.Hash(older.Hash)); err != nil {
		return fmt.Errorf("from %d to %d: %w", older.Size, size, err)
	}
	err = proof.VerifyConsistency(rfc6962.DefaultHasher, older.Size, uint64(size), plain(path), older.Hash, checkpoint.Hash)
	if err != nil {
		return fmt.Errorf("from %d to %d: %w", older.Size, size, err)
	}
	fmt.Printf("it grew from %d entries to %d\n", older.Size, size)
	return nil
}

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: verifier PREFIX KEY TOKEN [OLDER CHECKPOINT]")
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
