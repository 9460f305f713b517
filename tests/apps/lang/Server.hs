-- SPDX-License-Identifier: Apache-2.0
-- Haskell, -threaded: light threads, MVars, transactions, exceptions thrown at others, time-outs, garbage.
{-# LANGUAGE ScopedTypeVariables #-}
module Main (main) where

import Control.Concurrent
import Control.Exception
import Control.Monad
import qualified Data.ByteString.Char8 as B
import Data.List (foldl')
import qualified Data.Map.Strict as M
import GHC.Conc
import Network.Socket
import Network.Socket.ByteString (recv, sendAll)
import System.Exit
import System.Mem (performGC)
import System.Posix.Process (exitImmediately)
import System.Process (readProcess)
import System.Timeout (timeout)

count :: Int -> Int
count seed = foldl' (\a i -> (a * 31 + i) `mod` 1000003) seed [0 .. 99999]

each :: [a] -> (a -> IO b) -> IO [b]
each xs f = do
  boxes <- forM xs $ \x -> do
    box <- newEmptyMVar
    box <$ forkIO (f x >>= putMVar box)
  mapM takeMVar boxes

work :: IO String
work = unwords . map show <$> each [0 .. 3] (evaluate . count)

own :: IO String
own = do
  total <- newTVarIO (0 :: Int)
  _ <- each [1 .. 1000] $ \n -> atomically (readTVar total >>= writeTVar total . (+ n))
  said <- newEmptyMVar
  sleeper <- forkIO (threadDelay 60000000 `catch` \(e :: AsyncException) -> putMVar said (show e))
  threadDelay 10000
  killThread sleeper
  killed <- takeMVar said
  late <- timeout 20000 (forever yield) :: IO (Maybe ())
  zero <- try (evaluate (1 `div` (0 :: Int)))
  let m = M.fromList [(i, show i) | i <- [1 .. 50000 :: Int]]
  size <- evaluate (M.size (M.map length m))
  performGC
  sum' <- readTVarIO total
  pure (unwords [show sum', killed, show late, either (show :: ArithException -> String) show zero, show size])

answer :: String -> IO String
answer path = case path of
  "/work" -> work
  "/child" -> init <$> readProcess "/bin/echo" ["through a child"] ""
  "/own" -> own
  "/quit" -> pure "bye"
  _ -> pure "hello"

request :: Socket -> B.ByteString -> IO B.ByteString
request s got
  | B.pack "\r\n\r\n" `B.isInfixOf` got = pure got
  | otherwise = do
      more <- recv s 4096
      if B.null more then pure got else request s (got <> more)

serve :: Socket -> IO ()
serve s = do
  got <- request s B.empty
  let path = B.unpack (B.words got !! 1)
  body <- (++ "\n") <$> answer path
  sendAll s (B.pack ("HTTP/1.0 200 OK\r\nContent-Length: " ++ show (length body) ++ "\r\n\r\n" ++ body))
  close s
  when (path == "/quit") $ exitImmediately (ExitFailure 3)

main :: IO ()
main = do
  s <- socket AF_INET Stream defaultProtocol
  bind s (SockAddrInet 8080 0)
  listen s 64
  forever $ accept s >>= forkIO . serve . fst
