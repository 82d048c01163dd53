import time
from tests.crash.station import *

def test_one(station):
    t=time.time()
    files={clip_path(n): b"%d"%n*1000 for n in range(1,4)}
    files[clip_path(9)] = b"".join(i.to_bytes(8,"big")*1024 for i in range(1500))
    card=station.card("BC00001", files)
    bay=station.dock(card)
    station.start(); print("ready", time.time()-t)
    print(station.until_phase(bay,"done","kept", "refused")); print("done", time.time()-t)
    station.holds("BC00001", files)
    station.is_whole(); print("check", time.time()-t)
    station.stop(); print("stop", time.time()-t)
    print(len(station.entries()))
    print(station.result())
    print(station.log)
