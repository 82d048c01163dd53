from dataclasses import replace
from tests.crash.station import *
def test_x(make_station,new_bucket):
    st=make_station(store=replace(new_bucket(), secret_key="another"))
    st.dock(st.card("BC00001",{clip_path(1):b"abc"}))
    with st.running():
        for i in range(20):
            threading.Event().wait(1); print(st.status()["alarms"], st.status()["bays"], [b["store"] for b in st.bodies("replica")])
    print(st.log)
